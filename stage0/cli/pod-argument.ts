import { fail, messageOf } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { readUuidFile, resolveUuid } from "../pod/resolve-uuid.ts";
import type { ParsedOptions } from "./parsed-options.ts";

/**
 * The UUID of `--uuid-file`; undefined when it is not given. Some commands have a status of their own for a file
 * that cannot be read, so that is told and answered with a word.
 */
export function readUuidFileOption(log: Log, options: ParsedOptions): string | undefined | "unreadable" {
	if (!options.given("uuid-file")) return undefined;
	try {
		return readUuidFile(options.text("uuid-file"));
	} catch (error) {
		log.info(messageOf(error));
		return "unreadable";
	}
}

/** The full UUID of the one pod that is meant. Errors: `pod-argument-invalid`, those of {@link resolveUuid}. */
export function readPodArgument(
	dataDirectory: string,
	fromFile: string | undefined,
	args: readonly string[],
): string {
	if (fromFile !== undefined && args.length > 0) {
		fail("pod-argument-invalid", "both an UUID and --uuid-file are given", {
			hint: "leave one of them away",
		});
	}
	const text = fromFile ?? args[0];
	if (text === undefined) {
		return fail("pod-argument-invalid", "must provide exactly one UUID", {
			hint: "name the pod by UUID or with --uuid-file=FILE; rkt list shows the pods",
		});
	}
	return resolveUuid(dataDirectory, text);
}

/** The pods of a command that takes any number: those of the arguments, or the one of `--uuid-file`. */
export function readPodWords(fromFile: string | undefined, args: readonly string[]): readonly string[] {
	if (fromFile !== undefined && args.length > 0) {
		fail("pod-argument-invalid", "both UUIDs and --uuid-file are given", { hint: "leave one of them away" });
	}
	const words = fromFile === undefined ? args : [fromFile];
	if (words.length > 0) return words;
	return fail("pod-argument-invalid", "must provide at least one UUID", {
		hint: "name pods by UUID or with --uuid-file=FILE; rkt list shows them",
	});
}
