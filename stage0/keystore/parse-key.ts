import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";

/** An OpenPGP public key as people review it. */
export interface PublicKey {
	/** 40 lower-case hex digits. */
	readonly fingerprint: string;
	readonly subkeys: readonly string[];
	readonly identities: readonly string[];
}

/**
 * Reads the public key of an armored or binary key file through gpg, which gets a home directory of its own.
 * Errors: `key-malformed` when there is none, or more than one; `program-missing`.
 */
export function parseKey(data: Uint8Array, source: string): PublicKey {
	const keys = parseColons(showKeys(data));
	const [key] = keys;
	if (key && keys.length === 1) return key;
	return fail(
		"key-malformed",
		`${source} holds ${keys.length === 0 ? "no" : "more than one"} OpenPGP public key`,
		{
			hint: "give a file with one key: gpg --armor --export FINGERPRINT > FILE",
		},
	);
}

function showKeys(data: Uint8Array): string {
	const home = fs.mkdtempSync(path.join(os.tmpdir(), "rkt-gpg-"));
	try {
		const args = [
			"--homedir",
			home,
			"--batch",
			"--no-options",
			"--no-autostart",
			"--with-colons",
			"--show-keys",
		];
		const environment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
		return runCommand("gpg", args, { input: data, environment }).stdout;
	} finally {
		fs.rmSync(home, { recursive: true, force: true });
	}
}

/** Records of `--with-colons` (doc/DETAILS of GnuPG): pub, sub, uid; fpr follows its key. */
function parseColons(text: string): PublicKey[] {
	const keys: { fingerprint: string; subkeys: string[]; identities: string[] }[] = [];
	for (const line of text.split("\n")) {
		const fields = line.split(":");
		const key = keys.at(-1);
		if (fields[0] === "pub") keys.push({ fingerprint: "", subkeys: [], identities: [] });
		else if (fields[0] === "uid" && key) key.identities.push(unescapeField(fields[9] ?? ""));
		else if (fields[0] === "fpr" && key) addFingerprint(key, (fields[9] ?? "").toLowerCase());
	}
	return keys;
}

function addFingerprint(key: { fingerprint: string; subkeys: string[] }, fingerprint: string): void {
	if (key.fingerprint === "") key.fingerprint = fingerprint;
	else key.subkeys.push(fingerprint);
}

/** `\x3a` stands for a colon; control characters chosen by the key's owner never reach the terminal. */
function unescapeField(field: string): string {
	const text = field.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
		String.fromCharCode(Number.parseInt(hex, 16)),
	);
	return text.replace(/\p{Cc}/gu, "?");
}
