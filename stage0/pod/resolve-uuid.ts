import * as fs from "node:fs";
import { fail, messageOf } from "../../lib/errors.ts";
import { isUuid, listPodPlaces } from "./pod-directories.ts";

/** An UUID file holds 36 characters; more than a line of it is not read. */
const UUID_FILE_LIMIT = 1024;

/**
 * The full UUID for any unique beginning of one, in any case, among pods that are being prepared, prepared,
 * running or exited. Errors: `uuid-invalid`, `pod-not-found`, `uuid-ambiguous`.
 */
export function resolveUuid(dataDirectory: string, text: string): string {
	const prefix = text.trim().toLowerCase();
	if (!/^[0-9a-f-]{1,36}$/.test(prefix)) {
		fail("uuid-invalid", `invalid UUID: ${JSON.stringify(text)}`, { hint: "rkt list shows the pods" });
	}
	const { places } = listPodPlaces(dataDirectory, ["run", "exited-garbage", "prepare", "prepared"]);
	const matches = places.filter((place) => place.uuid.startsWith(prefix));
	if (matches.length === 0) {
		fail("pod-not-found", `no matches found for ${JSON.stringify(text)}`, {
			hint: "rkt list --full shows the UUIDs of all pods",
		});
	}
	if (matches.length > 1) {
		fail("uuid-ambiguous", `ambiguous uuid, ${matches.length} matches`, {
			hint: `write more of it: ${matches
				.slice(0, 5)
				.map((place) => place.uuid)
				.join(", ")}`,
		});
	}
	return (matches[0] as { uuid: string }).uuid;
}

/** The UUID in a file that `run --uuid-file-save` wrote. Errors: `uuid-file-unreadable`, `uuid-invalid`. */
export function readUuidFile(file: string): string {
	const content = readStart(file).trim().toLowerCase();
	if (isUuid(content)) return content;
	return fail("uuid-invalid", `${file} holds no UUID: ${JSON.stringify(content.slice(0, 60))}`, {
		hint: "write the file with rkt run --uuid-file-save=FILE",
	});
}

function readStart(file: string): string {
	try {
		const fd = fs.openSync(file, "r");
		try {
			const buffer = Buffer.alloc(UUID_FILE_LIMIT);
			return buffer.subarray(0, fs.readSync(fd, buffer)).toString("utf8");
		} finally {
			fs.closeSync(fd);
		}
	} catch (error) {
		return fail("uuid-file-unreadable", `unable to read UUID from file ${file}: ${messageOf(error)}`, {
			cause: error,
		});
	}
}
