import { RktError } from "../../lib/errors.ts";
import type { HttpResponse } from "../fetch/http-client.ts";
import { skipBody } from "../fetch/http-exchange.ts";

/** How a client waits, exchangeable in tests. */
export interface Waiting {
	delay(ms: number): Promise<void>;
	/** Tells that, and why, it waits. */
	tell(message: string): void;
	now(): number;
}

const BUSY = new Set([429, 502, 503, 504]);
const ATTEMPTS = 5;
const FIRST_DELAY_MS = 500;
/** Longer nobody waits for an image; a server that wants more is told of instead. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Asks again while the server says that it has too much to do, after the time that it names or after twice the time
 * of before. Errors: `registry-busy`, those of `ask`.
 */
export async function retryWhileBusy(
	what: string,
	waiting: Waiting,
	ask: () => Promise<HttpResponse>,
): Promise<HttpResponse> {
	for (let attempt = 1; ; attempt++) {
		const response = await ask();
		if (!BUSY.has(response.status)) return response;
		await skipBody(response.body);
		const asked = retryAfter(response, waiting.now());
		const wait = asked ?? FIRST_DELAY_MS * 2 ** (attempt - 1);
		if (attempt === ATTEMPTS || wait > LONGEST_WAIT_MS) throw busy(what, response.status, attempt, asked);
		waiting.tell(
			`${what}: the server is busy (status ${response.status}), waiting ${Math.ceil(wait / 1000)} s`,
		);
		await waiting.delay(wait);
	}
}

/** Seconds or a date (RFC 9110, section 10.2.3), in milliseconds from now. */
function retryAfter({ headers }: HttpResponse, now: number): number | undefined {
	const text = headers["retry-after"]?.trim() ?? "";
	if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
	const date = text === "" ? Number.NaN : Date.parse(text);
	return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function busy(what: string, status: number, attempts: number, asked: number | undefined): RktError {
	const times = attempts === 1 ? "" : ` ${attempts} times`;
	const until = asked === undefined ? "" : `, and asks to wait ${Math.ceil(asked / 1000)} s`;
	return new RktError("registry-busy", `${what}: the server is busy${times} (status ${status}${until})`, {
		hint:
			status === 429
				? "try again later; many registries allow more to those who log in"
				: "try again later, or configure a mirror",
	});
}
