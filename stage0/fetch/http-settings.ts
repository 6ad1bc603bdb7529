import { authorizationHeaders } from "./authorization.ts";
import type { FetchOptions } from "./fetch-options.ts";
import type { HttpSettings } from "./http-client.ts";

/** How images, signatures and discovery pages are requested. AWS signs objects, not pages. */
export function imageHttpSettings(
	{ config, insecure }: Pick<FetchOptions, "config" | "insecure">,
	use: "image" | "page",
): HttpSettings {
	return {
		allowHttp: insecure.http,
		allowUntrustedTls: insecure.tls,
		authorize: (url) => {
			if (use === "page" && config.auth.get(url.host)?.type === "aws") return {};
			return authorizationHeaders(url, config.auth);
		},
	};
}
