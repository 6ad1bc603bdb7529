import type { Credentials } from "../config/config.ts";
import { awsSignature } from "./aws-signature.ts";

export type Headers = Record<string, string>;

/** Headers that authorize a request to this URL: the configured domain must equal its host with port. */
export function authorizationHeaders(
	url: URL,
	auth: ReadonlyMap<string, Credentials>,
	now = new Date(),
): Headers {
	const credentials = auth.get(url.host);
	switch (credentials?.type) {
		case "basic":
			return { Authorization: basicAuthorization(credentials.user, credentials.password) };
		case "oauth":
			return { Authorization: `Bearer ${credentials.token}` };
		case "aws":
			return awsSignature(url, credentials, now);
		default:
			return {};
	}
}

export function basicAuthorization(user: string, password: string): string {
	return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** Of a URL that carries user and password itself. */
export function urlCredentials(url: URL): Headers {
	if (url.username === "") return {};
	return {
		Authorization: basicAuthorization(decodeURIComponent(url.username), decodeURIComponent(url.password)),
	};
}
