import { messageOf, RktError } from "../../lib/errors.ts";

/** Names of errno, of the resolver, of the HTTP parser and of TLS. Other errors are bugs. */
const NETWORK_CODES = /^(E[A-Z0-9]+(?:_AGAIN)?|HPE_\w+|ERR_(?:SSL|TLS)_\w+|ERR_STREAM_PREMATURE_CLOSE)$/;

/** Any failure of the network as an RktError that names the URL. */
export function networkError(error: unknown, url: string): unknown {
	if (error instanceof RktError) {
		if (error.message.includes(url)) return error;
		return new RktError(error.code, `${url}: ${error.message}`, { cause: error });
	}
	const code = error instanceof Error && "code" in error ? String(error.code) : "";
	if (/CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|ALTNAME/.test(code)) {
		return new RktError(
			"tls-untrusted",
			`${url}: the server's certificate is not trusted: ${messageOf(error)}`,
			{
				hint: "add the certificate authority with SSL_CERT_FILE, or give --insecure-options=tls",
				cause: error,
			},
		);
	}
	if (!NETWORK_CODES.test(code)) return error;
	return new RktError("network-failed", `${url}: ${describe(code, messageOf(error))}`, {
		hint: "check the network and the address, and try again",
		cause: error,
	});
}

/** OpenSSL's own words span lines and name its source files. */
function describe(code: string, message: string): string {
	if (code === "ECONNRESET" && message === "aborted") return "the connection broke in the middle";
	if (code === "EPROTO") return "the server does not answer in TLS";
	return message.trim();
}

export function timeoutError(what: string, ms: number): RktError {
	return new RktError("network-timeout", `${what}: no answer within ${ms / 1000} s`, {
		hint: "check the network and the proxy variables, and try again",
	});
}
