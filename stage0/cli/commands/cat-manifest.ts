import * as fs from "node:fs";
import { fail, isErrno } from "../../../lib/errors.ts";
import { podManifestPath } from "../../../stage1/pod-paths.ts";
import { observePod } from "../../pod/pod-lock.ts";
import type { Handler } from "../command.ts";
import { writeJson } from "../output/print-json.ts";
import { readPodArgument, readUuidFileOption } from "../pod-argument.ts";
import { EXIT_FAILURE } from "../program.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt cat-manifest`: the manifest of a pod, read and written again. */
export const catManifest: Handler = async (context, { options, args }) => {
	const fromFile = readUuidFileOption(context.log, options);
	if (fromFile === "unreadable") return EXIT_FAILURE;
	const dataDirectory = findDataDirectory(context);
	const uuid = readPodArgument(dataDirectory, fromFile, args);
	const pod = observePod(await loadSyscall(), dataDirectory, uuid);
	const file = podManifestPath(pod?.directory ?? "");
	const text = readManifest(file, uuid, pod?.state ?? "gone");
	const { parsePodManifest } = await import("../../../appc/schema/pod-manifest.ts");
	const { serializeManifest } = await import("../../../appc/schema/serialize.ts");
	const indent = options.on("pretty-print") ? "\t" : undefined;
	writeJson(serializeManifest(parsePodManifest(text, file), indent));
	return 0;
};

function readManifest(file: string, uuid: string, state: string): string {
	try {
		return fs.readFileSync(file, "utf8");
	} catch (error) {
		if (!isErrno(error, "ENOENT")) throw error;
		return fail("pod-without-manifest", `pod ${uuid} has no manifest, it is ${state}`, {
			hint: "an aborted prepare is removed with rkt gc",
		});
	}
}
