import { fail } from "../../lib/errors.ts";
import { machineName } from "../pod-paths.ts";

/** Longest name that the kernel takes (hostname(7)). */
const MAX_HOSTNAME_LENGTH = 64;
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

/** The hostname of a pod: what the user wants, else `rkt-UUID`. Errors: `hostname-invalid`. */
export function podHostname(uuid: string, wanted: string | undefined): string {
	return checkHostname(wanted) ?? machineName(uuid);
}

/** undefined for an empty name, which stands for the default. Errors: `hostname-invalid`. */
export function checkHostname(wanted: string | undefined): string | undefined {
	if (wanted === undefined || wanted === "") return undefined;
	if (isHostname(wanted) && wanted.length <= MAX_HOSTNAME_LENGTH) return wanted;
	return fail("hostname-invalid", `${JSON.stringify(wanted)} is no hostname`, {
		hint: `at most ${MAX_HOSTNAME_LENGTH} letters, digits, - _ and dots, such as web-1.example.com`,
	});
}

/** A name of RFC 1123, with the `_` that is found in practice and that systemd takes too. */
export function isHostname(name: string): boolean {
	return name.length <= 253 && name.split(".").every((label) => LABEL.test(label));
}
