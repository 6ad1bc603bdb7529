/** What a route needs of a request. */
export interface ServiceRequest {
	readonly method: string;
	/** Decoded components of the path; undefined when an escape is broken. */
	readonly path: readonly string[] | undefined;
	readonly query: URLSearchParams;
	/** Media type without parameters, in lower case. */
	readonly contentType: string;
	/** The body, read only now. Throws {@link TooLarge}. */
	readBody(limit: number): Promise<Buffer>;
}

export interface Answer {
	readonly status: number;
	readonly contentType: string;
	readonly body: string;
	readonly allow?: string;
	/** The path for the log: the whole of it, without any token. */
	readonly shown: string;
}

/** Answers a request and never throws for what a client did, but for {@link TooLarge}. */
export type Route = (request: ServiceRequest) => Promise<Answer>;

export class TooLarge extends Error {}

const ASCII = "text/plain; charset=us-ascii";

type Content = Omit<Answer, "shown">;

/** JSON text, with a line feed as the Go implementation sends it. */
export function json(text: string): Content {
	return { status: 200, contentType: "application/json", body: `${text}\n` };
}

/** Plain text in the media type of the specification; what does not fit into ASCII is UTF-8 and says so. */
export function text(body: string): Content {
	const contentType = /^[\0-\x7f]*$/.test(body) ? ASCII : "text/plain; charset=utf-8";
	return { status: 200, contentType, body };
}

/** A status with nothing to say. */
export function done(status = 200): Content {
	return { status, contentType: ASCII, body: "" };
}

/** A refusal with its reason for the person who reads it. */
export function refuse(status: number, reason: string): Content {
	return { ...text(`${reason}\n`), status };
}

export function notAllowed(allow: string): Content {
	return { ...refuse(405, "method not allowed"), allow };
}
