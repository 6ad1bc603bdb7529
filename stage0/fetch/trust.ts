import type { FetchOptions } from "./fetch-options.ts";

export interface TrustRequest {
	/** Image name prefix; undefined for root keys. */
	readonly prefix: string | undefined;
	/** Files or URLs; none to discover keys at the prefix. */
	readonly locations: readonly string[];
	/** `--insecure-allow-http`. */
	readonly allowHttp: boolean;
	/** `--skip-fingerprint-review`. */
	readonly skipReview: boolean;
}

export type TrustOptions = Pick<
	FetchOptions,
	"keystore" | "config" | "insecure" | "log" | "trustKeysFromHttps"
>;

/** `rkt trust`: gets keys, has them reviewed on the terminal and stores them. Returns the written files. */
export async function addTrust(request: TrustRequest, options: TrustOptions): Promise<string[]> {
	throw new Error(`${request.prefix} ${options.trustKeysFromHttps}`);
}
