import { parseJson } from "../../lib/json.ts";
import { type HttpResponse, readBody } from "../fetch/http-client.ts";

const MAX_BYTES = 64 * 1024;

/**
 * The code of the first error in an answer (distribution specification 1.1, Error Codes), such as MANIFEST_UNKNOWN;
 * undefined when there is none. The body is read or given up.
 */
export async function registryErrorCode(response: HttpResponse): Promise<string | undefined> {
	try {
		const body = parseJson(await readBody(response, MAX_BYTES), response.url);
		const errors = (body as { errors?: unknown } | null)?.errors;
		const code = Array.isArray(errors) ? (errors[0] as { code?: unknown } | null)?.code : undefined;
		return typeof code === "string" && /^[A-Z_]{1,64}$/.test(code) ? code : undefined;
	} catch {
		response.body.destroy();
		return undefined;
	}
}
