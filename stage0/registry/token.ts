import * as z from "zod/mini";
import { checkSchema } from "../../appc/schema/read-schema.ts";
import { fail } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { basicAuthorization } from "../fetch/authorization.ts";
import {
	type HttpResponse,
	type HttpSettings,
	httpGet,
	httpPostForm,
	readBody,
} from "../fetch/http-client.ts";
import type { RegistryCredentials } from "./auth-file.ts";
import type { Challenge } from "./challenge.ts";
import { retryWhileBusy, type Waiting } from "./retry.ts";

const MAX_TOKEN_BYTES = 1024 * 1024;

export interface TokenRequest {
	readonly challenge: Challenge;
	/** What is going to be read. */
	readonly repository: string;
	/** Undefined for a token that everybody gets. */
	readonly credentials: Exclude<RegistryCredentials, { type: "registry-token" }> | undefined;
	readonly settings: HttpSettings;
	readonly waiting: Waiting;
	/** For messages: the registry. */
	readonly source: string;
}

/**
 * Gets a token as a Bearer challenge says (distribution specification, "Token Authentication"). Nothing but reading
 * this one repository is asked for, whatever the challenge wants.
 * Errors: `registry-answer-invalid`, `registry-unauthorized`, `registry-busy`, those of the network.
 */
export async function requestToken(request: TokenRequest): Promise<string> {
	const realm = checkRealm(request);
	const response = await retryWhileBusy(realm.href, request.waiting, () => ask(realm, request));
	if (response.status === 200) return readToken(response, request.source);
	response.body.destroy();
	return fail(
		"registry-unauthorized",
		`${request.source}: ${realm.origin} gives no token (status ${response.status})`,
		{ hint: UNAUTHORIZED_HINT },
	);
}

export const UNAUTHORIZED_HINT =
	"check the name; if the image is private, give credentials in auth.d, or log in with podman or docker";

function ask(
	realm: URL,
	{ challenge, repository, credentials, settings }: TokenRequest,
): Promise<HttpResponse> {
	const service = challenge.parameters.get("service");
	const scope = `repository:${repository}:pull`;
	if (credentials?.type === "identity-token") {
		const form = new URLSearchParams({
			grant_type: "refresh_token",
			...(service === undefined ? {} : { service }),
			scope,
			client_id: "rkt",
			refresh_token: credentials.token,
		});
		return httpPostForm(realm.href, form, settings);
	}
	const url = new URL(realm);
	if (service !== undefined) url.searchParams.set("service", service);
	url.searchParams.set("scope", scope);
	const headers = credentials && {
		Authorization: basicAuthorization(credentials.user, credentials.password),
	};
	return httpGet(url.href, {}, { ...settings, authorize: () => headers ?? {} });
}

/** Credentials go there, so that it must be as safe as the registry itself. */
function checkRealm({ challenge, source, settings }: TokenRequest): URL {
	const text = challenge.parameters.get("realm") ?? "";
	const realm = URL.canParse(text) ? new URL(text) : undefined;
	const safe = realm?.protocol === "https:" || (realm?.protocol === "http:" && settings.allowHttp);
	if (realm && safe && realm.username === "" && realm.password === "") return realm;
	return fail(
		"registry-answer-invalid",
		`${source}: it sends to ${JSON.stringify(text.slice(0, 200))} for a token`,
		{
			hint: "tokens are had from an https URL only",
		},
	);
}

async function readToken(response: HttpResponse, source: string): Promise<string> {
	const body = await readBody(response, MAX_TOKEN_BYTES);
	const schema = z.object({ token: z.optional(z.string()), access_token: z.optional(z.string()) });
	const what = `${source}: the token`;
	let answer: z.infer<typeof schema>;
	try {
		answer = checkSchema(parseJson(body, what), what, schema);
	} catch {
		// What was read may be secret and is not quoted.
		return fail("registry-answer-invalid", `${what} is not in a JSON object`, { hint: BROKEN_HINT });
	}
	const token = answer.token || answer.access_token || "";
	if (/^[\x21-\x7e]+$/.test(token)) return token;
	return fail("registry-answer-invalid", `${what} is missing or cannot be sent in a header`, {
		hint: BROKEN_HINT,
	});
}

const BROKEN_HINT = "tell whoever runs the registry";
