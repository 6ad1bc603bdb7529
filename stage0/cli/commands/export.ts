import { fail, isErrno, RktError } from "../../../lib/errors.ts";
import { observePod, tryHoldPod } from "../../pod/pod-lock.ts";
import { resolveUuid } from "../../pod/resolve-uuid.ts";
import { chooseApp } from "../choose-app.ts";
import type { Handler } from "../command.ts";
import { writeExport } from "../export-file.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt export`: an app of a pod that has ended, with what it changed, as an image. */
export const exportApp: Handler = async (context, { options, args }) => {
	const [word = "", file = ""] = args;
	if (!file.endsWith(".aci")) {
		fail("target-invalid", `"${file}" does not end in .aci`, { hint: "images have that extension" });
	}
	const dataDirectory = findDataDirectory(context);
	const uuid = resolveUuid(dataDirectory, word);
	const syscall = await loadSyscall();
	const pod = observePod(syscall, dataDirectory, uuid);
	if (pod?.state !== "exited" && pod?.state !== "exited garbage") {
		return fail(
			"pod-not-exited",
			`pod ${uuid} is ${pod?.state ?? "gone"}, only pods that have ended are exported`,
			{
				hint:
					pod?.state === "running" ? `stop it first: rkt stop ${uuid}` : "rkt list shows the state of pods",
			},
		);
	}
	const name = chooseApp(context.log, { command: "export", pod, name: options.text("app") });
	// A shared lock keeps the pod from being collected and is not taken for a pod that runs.
	const lock = tryHoldPod(syscall, pod);
	if (lock === undefined) {
		return fail("pod-in-use", `pod ${uuid}: another command works on it, or has removed it`, {
			hint: "try again if rkt list still shows the pod",
		});
	}
	try {
		const { readAci } = await import("../../../appc/aci/read.ts");
		const { exportPodApp } = await import("../../pod/export-app.ts");
		const { openStore } = await import("../../store/store.ts");
		const store = openStore(dataDirectory, syscall);
		await writeExport(file, options.on("overwrite"), async (output) => {
			const write = async (compression: "gzip" | "none"): Promise<readonly string[]> => {
				const app = { pod: pod.directory, app: name, compression };
				const leftOut = await exportPodApp(syscall, store, app, output.create);
				// An app can make files that no image may hold: what rkt would not take is not handed out.
				await readAci(output.read(), { source: `app ${name}` });
				return leftOut;
			};
			const leftOut = await write("gzip").catch((error) => {
				// Readers take large files of zeros for an attack when they are compressed.
				if (isErrno(error, "aci-too-large")) return write("none");
				throw error;
			});
			for (const what of leftOut) context.log.info(`left out of the image: ${what}`);
		});
	} catch (error) {
		throw asNotExportable(error);
	} finally {
		lock.release();
	}
	return 0;
};

const REFUSED = ["aci-invalid", "aci-too-large"];

/** The author of the image can do nothing about it. */
function asNotExportable(error: unknown): unknown {
	if (!(error instanceof RktError) || !REFUSED.includes(error.code)) return error;
	return new RktError("app-not-exportable", error.message, {
		hint: "docs/images.md lists what an image may hold; keep such files in a volume, which is not exported",
		cause: error,
	});
}
