import { fail } from "../../../lib/errors.ts";
import { lockPath } from "../../../lib/lock.ts";
import { observePod } from "../../pod/pod-lock.ts";
import { resolveUuid } from "../../pod/resolve-uuid.ts";
import { chooseApp } from "../choose-app.ts";
import type { Handler } from "../command.ts";
import { writeExport } from "../export-file.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt export`: an app of a pod that has ended, with what it changed, as a compressed image. */
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
	const lock = lockPath(syscall, pod.directory, { shared: true, noWait: true });
	try {
		const { exportPodApp } = await import("../../pod/export-app.ts");
		const { openStore } = await import("../../store/store.ts");
		const store = openStore(dataDirectory, syscall);
		await writeExport(file, options.on("overwrite"), (createOutput) =>
			exportPodApp(syscall, store, { pod: pod.directory, app: name }, createOutput),
		);
	} finally {
		lock?.release();
	}
	return 0;
};
