import * as fs from "node:fs";
import { isatty } from "node:tty";
import { fail, isErrno } from "../../lib/errors.ts";
import { writeStderr } from "../../lib/log.ts";
import type { CosignKey } from "../keystore/cosign-keys.ts";
import type { PublicKey } from "../keystore/parse-key.ts";

export interface Review {
	readonly location: string;
	/** Undefined for a root key. */
	readonly prefix: string | undefined;
	/** False only shows the key. */
	readonly ask: boolean;
}

/**
 * Shows a key on standard error and asks until the answer is yes or no. Returns whether to trust it.
 * Errors: `key-review-impossible` when nobody can be asked.
 */
export function reviewKey(key: PublicKey, review: Review): boolean {
	return reviewDescription(describeKey(key, review), review.ask);
}

/** {@link reviewKey} for a key in words. */
export function reviewDescription(description: string, ask: boolean): boolean {
	writeStderr(description);
	if (!ask) return true;
	if (!isatty(0) || !isatty(2)) {
		fail("key-review-impossible", "unable to ask user to review fingerprint due to lack of tty", {
			hint: "run the command on a terminal, or compare the fingerprint and add --skip-fingerprint-review to rkt trust",
		});
	}
	for (;;) {
		writeStderr("Are you sure you want to trust this key (yes/no)? ");
		const answer = readLine();
		if (answer === undefined || answer === "no") return false;
		if (answer === "yes") return true;
		writeStderr("Please enter 'yes' or 'no'\n");
	}
}

export function describeKey(key: PublicKey, { location, prefix }: Omit<Review, "ask">): string {
	const lines = [
		`Prefix: "${prefix ?? ""}"`,
		`Key: "${location}"`,
		`GPG key fingerprint is: ${formatFingerprint(key.fingerprint)}`,
		...key.subkeys.map((subkey) => `    Subkey fingerprint: ${formatFingerprint(subkey)}`),
		...key.identities.map((identity) => `\t${identity}`),
	];
	return `${lines.join("\n")}\n`;
}

export function describeCosignKey(
	{ fingerprint, algorithm }: CosignKey,
	{ location, prefix }: Omit<Review, "ask">,
): string {
	const lines = [
		`Prefix: "${prefix ?? ""}"`,
		`Key: "${location}"`,
		`Cosign key (${algorithm}), SHA-256 fingerprint is: ${formatFingerprint(fingerprint)}`,
	];
	return `${lines.join("\n")}\n`;
}

/** Upper-case groups of four with a double space in the middle. */
export function formatFingerprint(fingerprint: string): string {
	const groups = fingerprint.toUpperCase().match(/.{1,4}/g) ?? [];
	const half = groups.length / 2;
	return `${groups.slice(0, half).join(" ")}  ${groups.slice(half).join(" ")}`;
}

/**
 * A line from the terminal, undefined at its end. Read from the descriptor itself: Node's stream would leave it
 * non-blocking for the programs that come after.
 */
function readLine(): string | undefined {
	const byte = Buffer.alloc(1);
	let line = "";
	for (;;) {
		try {
			if (fs.readSync(0, byte) === 0) return line === "" ? undefined : line.trim();
		} catch (error) {
			if (isErrno(error, "EAGAIN", "EINTR")) continue;
			throw error;
		}
		if (byte[0] === 0x0a) return line.trim();
		line += byte.toString("latin1");
	}
}
