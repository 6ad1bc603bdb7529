import * as fs from "node:fs";
import * as path from "node:path";
import { fail, messageOf } from "../../lib/errors.ts";
import type { Environment } from "./proxy.ts";

/** Where distributions keep their list of certificate authorities. */
const SYSTEM_BUNDLES = [
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
];

/**
 * The certificate authorities to trust, in PEM: those of SSL_CERT_FILE and SSL_CERT_DIR (a list with `:`) when one
 * of them is set, else the system's list; those of NODE_EXTRA_CA_CERTS are added. Each is there once: a directory of
 * certificates has them under several names, and to read one takes a fifth of a millisecond. Undefined leaves Node's own
 * list. Errors: `ca-unreadable`.
 */
export function trustAnchors(environment: Environment): string[] | undefined {
	const named = namedAnchors(environment);
	const anchors = named.length > 0 ? named : systemAnchors();
	if (anchors.length === 0) return undefined;
	const extra = environment.NODE_EXTRA_CA_CERTS;
	const all = extra && fs.existsSync(extra) ? [...anchors, readAnchors(extra)] : anchors;
	return [...new Set(all.flatMap(certificatesOf))];
}

/** What is no certificate is left to OpenSSL's judgement. */
function certificatesOf(text: string): string[] {
	return text.match(/-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----[\s\S]*?-----END \1-----/g) ?? [text];
}

function namedAnchors(environment: Environment): string[] {
	const files = environment.SSL_CERT_FILE ? [environment.SSL_CERT_FILE] : [];
	const directories = (environment.SSL_CERT_DIR ?? "").split(":").filter((directory) => directory !== "");
	return [...files, ...directories.flatMap(certificateFiles)].map(readAnchors);
}

function certificateFiles(directory: string): string[] {
	const names = fs.existsSync(directory) ? fs.readdirSync(directory).sort() : [];
	return names.map((name) => path.join(directory, name)).filter((file) => fs.statSync(file).isFile());
}

function systemAnchors(): string[] {
	const bundle = SYSTEM_BUNDLES.find((file) => fs.existsSync(file));
	return bundle === undefined ? [] : [readAnchors(bundle)];
}

function readAnchors(file: string): string {
	try {
		return fs.readFileSync(file, "utf8");
	} catch (error) {
		return fail("ca-unreadable", `cannot read the certificate authorities in ${file}: ${messageOf(error)}`, {
			hint: "check the variables SSL_CERT_FILE and SSL_CERT_DIR",
		});
	}
}
