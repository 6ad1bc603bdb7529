import type { Writable } from "node:stream";

/** Waits until a stream takes more, or takes nothing more at all; errors show when it is written to again. */
export function drained(stream: Writable): Promise<void> {
	if (stream.destroyed || !stream.writableNeedDrain) return Promise.resolve();
	const events = ["drain", "error", "close"];
	return new Promise((resolve) => {
		const done = (): void => {
			for (const event of events) stream.off(event, done);
			resolve();
		};
		for (const event of events) stream.on(event, done);
	});
}

export interface Feed {
	/** Bytes given so far. */
	bytes(): number;
	/** Throws what the input threw. */
	check(): void;
}

/**
 * Writes `input` into a stream beside its reader, and ends the stream. When the input fails the stream is destroyed
 * with its error; when the stream is destroyed, the input is closed. Errors of the stream are its reader's business.
 */
export function startFeed(input: AsyncIterable<Buffer>, stream: Writable): Feed {
	let bytes = 0;
	let failure: { readonly error: unknown } | undefined;
	const run = async (): Promise<void> => {
		for await (const chunk of input) {
			if (stream.destroyed) return;
			bytes += chunk.length;
			if (!stream.write(chunk)) await drained(stream);
			if (stream.destroyed) return;
		}
		stream.end();
	};
	stream.on("error", () => {});
	run().catch((error) => {
		failure = { error };
		stream.destroy(error instanceof Error ? error : undefined);
	});
	return {
		bytes: () => bytes,
		check: () => {
			if (failure !== undefined) throw failure.error;
		},
	};
}
