import { fail, isErrno, RktError } from "../../lib/errors.ts";
import { basicAuthorization, type Headers } from "../fetch/authorization.ts";
import { type HttpResponse, type HttpSettings, httpGet } from "../fetch/http-client.ts";
import { skipBody } from "../fetch/http-exchange.ts";
import type { RegistryCredentials } from "./auth-file.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Endpoint } from "./endpoint.ts";
import { registryErrorCode } from "./error-body.ts";
import { retryWhileBusy, type Waiting } from "./retry.ts";
import { requestToken, UNAUTHORIZED_HINT } from "./token.ts";

export interface SessionOptions {
	/** Asked once, and only when the server wants credentials. */
	readonly credentials: () => RegistryCredentials | undefined;
	readonly waiting: Waiting;
}

/** One repository at one endpoint; what was learnt of it (scheme, token) is kept. */
export interface Session {
	readonly endpoint: Endpoint;
	/**
	 * GET below `/v2/REPOSITORY/`; the answer has status 200 or 206.
	 * Errors: `registry-not-found`, `registry-unauthorized`, `registry-busy`, `registry-answer-invalid`, `http-status`,
	 * those of the network.
	 */
	get(path: string, headers: Headers): Promise<HttpResponse>;
}

export function openSession(endpoint: Endpoint, options: SessionOptions): Session {
	const { host, repository, insecure } = endpoint;
	const settings: HttpSettings = {
		allowHttp: insecure.http,
		allowUntrustedTls: insecure.tls,
	};
	let scheme: "https" | "http" = "https";
	let authorization: string | undefined;
	let renewal: Promise<string> | undefined;

	const request = async (path: string, headers: Headers, sent: string | undefined): Promise<HttpResponse> => {
		const authorized: HttpSettings = { ...settings, authorize: () => (sent ? { Authorization: sent } : {}) };
		const ask = (by: string) => httpGet(`${by}://${host}/v2/${repository}/${path}`, headers, authorized);
		try {
			return await ask(scheme);
		} catch (error) {
			if (scheme === "http" || !isErrno(error, "network-failed")) throw error;
			// Only where the user allowed plain http, and the server does not speak TLS at all.
			if (!insecure.http) throw withoutTls(error as RktError, host);
			const response = await ask("http");
			scheme = "http";
			return response;
		}
	};

	const authorized = async (path: string, headers: Headers): Promise<HttpResponse> => {
		const sent = authorization;
		const response = await request(path, headers, sent);
		if (response.status !== 401) return response;
		await skipBody(response.body);
		const source = `${host}/${repository}`;
		const { origin } = new URL(response.url);
		if (origin !== new URL(`${scheme}://${host}`).origin) {
			refuseUnauthorized(source, `${origin}, where it redirects to, wants credentials`);
		}
		// Another request may have got a new token meanwhile.
		if (authorization === sent) {
			const challenges = parseChallenges(response.headers["www-authenticate"]);
			renewal ??= answerChallenge(challenges, { endpoint, options, settings, source }).finally(() => {
				renewal = undefined;
			});
			authorization = await renewal;
		}
		const second = await request(path, headers, authorization);
		if (second.status !== 401) return second;
		second.body.destroy();
		return refuseUnauthorized(source, "it refuses the credentials, or gives none without them");
	};

	return {
		endpoint,
		get: async (path, headers) => {
			const what = `${host}/${repository}/${path}`;
			const response = await retryWhileBusy(what, options.waiting, () => authorized(path, headers));
			if (response.status === 200 || response.status === 206) return response;
			throw await statusFailure(response, what);
		},
	};
}

interface AnswerContext {
	readonly endpoint: Endpoint;
	readonly options: SessionOptions;
	readonly settings: HttpSettings;
	readonly source: string;
}

/** The value of the Authorization header that a server wants. */
async function answerChallenge(
	challenges: readonly Challenge[],
	{ endpoint, options, settings, source }: AnswerContext,
): Promise<string> {
	const credentials = options.credentials();
	const bearer = challenges.find(({ scheme }) => scheme === "bearer");
	if (credentials?.type === "registry-token" && bearer) return `Bearer ${credentials.token}`;
	if (bearer && credentials?.type !== "registry-token") {
		const { repository } = endpoint;
		const request = {
			challenge: bearer,
			repository,
			credentials,
			settings,
			waiting: options.waiting,
			source,
		};
		return `Bearer ${await requestToken(request)}`;
	}
	if (!challenges.some(({ scheme }) => scheme === "basic")) {
		return fail(
			"registry-answer-invalid",
			`${source}: the registry wants credentials of a kind that rkt lacks`,
			{
				hint: "rkt knows the schemes Bearer and Basic",
			},
		);
	}
	if (credentials?.type === "password") return basicAuthorization(credentials.user, credentials.password);
	return refuseUnauthorized(source, "it wants a user and a password, and none are configured");
}

function withoutTls(error: RktError, host: string): RktError {
	if (!error.message.includes("does not answer in TLS")) return error;
	return new RktError(error.code, `${host}: the registry does not speak https`, {
		hint: "if plain http is meant: --insecure-options=http, or for this registry alone registries.d (docs/configuration.md)",
		cause: error,
	});
}

function refuseUnauthorized(source: string, problem: string): never {
	return fail("registry-unauthorized", `${source}: the registry lets nobody read this: ${problem}`, {
		hint: UNAUTHORIZED_HINT,
	});
}

async function statusFailure(response: HttpResponse, what: string): Promise<RktError> {
	const { status } = response;
	const said = await registryErrorCode(response);
	const because = said === undefined ? "" : `, ${said}`;
	if (status === 404) {
		return new RktError(
			"registry-not-found",
			`${what}: the registry does not have it (status 404${because})`,
			{
				hint: "check the name and the tag",
			},
		);
	}
	if (status === 403) {
		return new RktError(
			"registry-unauthorized",
			`${what}: the registry forbids to read it (status 403${because})`,
			{
				hint: UNAUTHORIZED_HINT,
			},
		);
	}
	return new RktError("http-status", `${what}: the registry answers ${status}${because}`);
}
