import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";

export interface SigningKey {
	/** 40 hexadecimal digits in lower case. */
	readonly fingerprint: string;
	/** Armoured public key. */
	readonly publicKeyFile: string;
	/** Writes an armoured detached signature and returns its path, `${file}.asc` unless told otherwise. */
	sign(file: string, signature?: string): Promise<string>;
	/** Ends the key's agent and deletes the key. */
	remove(): Promise<void>;
}

export interface SigningKeyOptions {
	/** As gpg takes it: `never`, `1y`, or `seconds=N` counted from `madeAt`. */
	readonly expires?: string;
	/** Time of creation in ISO form `20200101T000000`; now when missing. */
	readonly madeAt?: string;
}

/** Makes an OpenPGP key in a home of its own; gpg's socket there needs a short path, hence /tmp. */
export async function createSigningKey(user: string, options: SigningKeyOptions = {}): Promise<SigningKey> {
	const home = fs.mkdtempSync("/tmp/rkt-gpg-");
	const clock = options.madeAt === undefined ? [] : [`--faked-system-time=${options.madeAt}`];
	const base = [
		"--homedir",
		home,
		"--batch",
		"--no-tty",
		"--quiet",
		"--pinentry-mode=loopback",
		"--passphrase=",
	];
	const gpg = async (args: readonly string[]): Promise<string> =>
		(await execa("gpg", [...base, ...clock, ...args])).stdout;

	await gpg(["--quick-generate-key", user, "ed25519", "sign", options.expires ?? "never"]);
	const listing = await gpg(["--list-keys", "--with-colons"]);
	const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listing)?.[1]?.toLowerCase();
	if (fingerprint === undefined) throw new Error(`gpg made no key: ${listing}`);
	const publicKeyFile = path.join(home, "public.asc");
	fs.writeFileSync(publicKeyFile, `${await gpg(["--armor", "--export", fingerprint])}\n`);

	return {
		fingerprint,
		publicKeyFile,
		sign: async (file, signature = `${file}.asc`) => {
			await gpg(["--yes", "--armor", "--output", signature, "--detach-sign", file]);
			return signature;
		},
		remove: async () => {
			await execa("gpgconf", ["--homedir", home, "--kill", "all"], { reject: false });
			fs.rmSync(home, { recursive: true, force: true });
		},
	};
}
