import { RktError } from "../../lib/errors.ts";
import type { TrustedKey } from "./trusted-keys.ts";

/** What gpgv said on its status descriptor (doc/DETAILS of GnuPG). */
interface StatusLine {
	readonly keyword: string;
	readonly fields: readonly string[];
}

export interface Verification {
	/** User IDs of the key that signed. */
	readonly identities: readonly string[];
	/** Primary key, 40 lower-case hex digits. */
	readonly fingerprint: string;
}

export interface StatusContext {
	/** What is signed, for messages. */
	readonly source: string;
	/** Image name that selected the keys, if it was known. */
	readonly name: string | undefined;
	/** The keys that may have signed. */
	readonly keys: readonly TrustedKey[];
	/** Every key that is trusted for something, to tell an unknown key from one of another prefix. */
	readonly allKeys: () => readonly TrustedKey[];
}

/** Hash algorithms (RFC 4880 section 9.4) whose collisions can be made: MD5, SHA-1, RIPE-MD/160. */
const WEAK_HASHES = new Set(["1", "2", "3"]);

/** Signature over the bytes as they are; a text signature would hold for other line ends too. */
const CLASS_BINARY = "00";

const REFUSALS: Readonly<Record<string, { code: string; problem: string; hint: string }>> = {
	BADSIG: {
		code: "signature-bad",
		problem: "the signature does not belong to these bytes",
		hint: "fetch it again; if it stays, the image or its signature was replaced at the source",
	},
	REVKEYSIG: {
		code: "signature-key-revoked",
		problem: "the signing key is revoked",
		hint: "ask the publisher for an image signed with a valid key, and remove the revoked one",
	},
	EXPKEYSIG: {
		code: "signature-key-expired",
		problem: "the signing key has expired",
		hint: "get the publisher's renewed key and add it with rkt trust",
	},
	EXPSIG: {
		code: "signature-expired",
		problem: "the signature has expired",
		hint: "ask the publisher for a new signature",
	},
};

/**
 * Judges gpgv's status output. Every signature must be good, by a valid key of the given set, over the bytes as
 * they are, with a strong hash; whatever is not understood refuses.
 */
export function judgeStatus(status: string, exitCode: number, context: StatusContext): Verification {
	const lines = parseStatus(status);
	for (const { keyword } of lines) {
		const refusal = REFUSALS[keyword];
		if (refusal)
			throw new RktError(refusal.code, `${context.source}: ${refusal.problem}`, { hint: refusal.hint });
	}
	const unknown = lines.find((line) => line.keyword === "ERRSIG");
	if (unknown) throw unverifiable(unknown, context);
	const valid = lines.filter((line) => line.keyword === "VALIDSIG");
	const good = lines.filter((line) => line.keyword === "GOODSIG");
	const started = lines.filter((line) => line.keyword === "NEWSIG");
	const complete =
		exitCode === 0 && valid.length > 0 && good.length === valid.length && started.length === valid.length;
	if (!complete) throw malformed(context.source);
	const fingerprints = valid.map((line) => checkValid(line, context));
	return { identities: good.map(identity), fingerprint: fingerprints[0] as string };
}

function parseStatus(status: string): StatusLine[] {
	const lines = status.split("\n").filter((line) => line.startsWith("[GNUPG:] "));
	return lines.map((line) => {
		const [keyword = "", ...fields] = line.slice("[GNUPG:] ".length).split(" ");
		return { keyword, fields };
	});
}

/** GOODSIG: key ID, then the user ID, which the owner of the key chose freely. */
function identity(line: StatusLine): string {
	return line.fields
		.slice(1)
		.join(" ")
		.replace(/\p{Cc}/gu, "?");
}

/** VALIDSIG: fingerprint, date, time, expiry, version, reserved, key algorithm, hash algorithm, class, primary. */
function checkValid(line: StatusLine, context: StatusContext): string {
	const [signer, , , , , , , hash = "", signatureClass, primary] = line.fields;
	const fingerprint = (primary ?? signer ?? "").toLowerCase();
	if (signatureClass !== CLASS_BINARY) throw malformed(context.source);
	if (WEAK_HASHES.has(hash)) throw weak(context.source);
	if (!context.keys.some((key) => key.fingerprint === fingerprint)) throw unknownKey(line, context);
	return fingerprint;
}

export function malformed(source: string): RktError {
	return new RktError("signature-malformed", `${source}: the signature is not a detached OpenPGP signature`, {
		hint: "make it with: gpg --armor --detach-sign IMAGE.aci",
	});
}

/** Why gpgv could not check a signature, in the sixth field of ERRSIG as a number of libgpg-error. */
const ERRSIG_REASONS = { digest: "5", badKey: "6" } as const;

function unverifiable(line: StatusLine, context: StatusContext): RktError {
	const reason = line.fields[5];
	if (reason === ERRSIG_REASONS.digest) return weak(context.source);
	if (reason !== ERRSIG_REASONS.badKey) return unknownKey(line, context);
	return new RktError("signature-key-unusable", `${context.source}: the signing key cannot be used now`, {
		hint: "it may be valid only from a later date on: check the clock of this machine and the key",
	});
}

function weak(source: string): RktError {
	return new RktError("signature-weak", `${source}: the signature uses MD5, SHA-1 or RIPE-MD`, {
		hint: "ask the publisher for a signature with SHA-256 or better",
	});
}

/** ERRSIG has the key ID first and, in current releases, the fingerprint last; VALIDSIG the fingerprint first. */
export function unknownKey(line: Pick<StatusLine, "fields">, context: StatusContext): RktError {
	const last = line.fields.at(-1) ?? "";
	const signer = (/^[0-9A-F]{40}$/.test(last) ? last : (line.fields[0] ?? "")).toLowerCase();
	const same = (fingerprint: string) => signer !== "" && fingerprint.endsWith(signer);
	const elsewhere = context.allKeys().filter((key) => key.fingerprints.some(same));
	const subject = context.name === undefined ? context.source : `image ${context.name} (${context.source})`;
	if (elsewhere.length > 0) {
		const places = elsewhere.map((key) => key.prefix ?? "every image").join(", ");
		return new RktError(
			"signature-key-untrusted",
			`${subject}: signed with key ${signer}, which is trusted for ${places} only`,
			{ hint: trustHint(context.name) },
		);
	}
	return new RktError("signature-key-unknown", `${subject}: signed with the unknown key ${signer}`, {
		hint: trustHint(context.name),
	});
}

function trustHint(name: string | undefined): string {
	return `if you trust the publisher, add the key: rkt trust --prefix=${name ?? "NAME"}`;
}
