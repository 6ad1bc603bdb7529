/** A stream whose reader may stop early, and which can still be asked whether it was what it should be. */
export interface WatchedStream {
	readonly chunks: AsyncIterable<Buffer>;
	/**
	 * What is wrong with the stream itself, after reading up to `maxBytes` of what its reader left; undefined when
	 * nothing is, or it is not known then.
	 */
	fault(maxBytes: number): Promise<unknown>;
	/** Lets go of the stream. */
	close(): Promise<void>;
}

export interface Watcher {
	/** Sees every piece first; what it throws ends the stream. */
	onChunk(chunk: Buffer): void;
	/** Told of the end after the last piece. */
	onEnd(): void;
}

export function watchStream(source: AsyncIterable<Buffer>, { onChunk, onEnd }: Watcher): WatchedStream {
	const iterator = source[Symbol.asyncIterator]();
	let failure: { readonly error: unknown } | undefined;
	let ended = false;

	const next = async (): Promise<Buffer | undefined> => {
		if (ended) return undefined;
		try {
			const { done, value } = await iterator.next();
			ended = done === true;
			if (ended) onEnd();
			return done ? undefined : value;
		} catch (error) {
			failure = { error };
			ended = true;
			throw error;
		}
	};
	async function* chunks(): AsyncGenerator<Buffer> {
		for (let chunk = await next(); chunk !== undefined; chunk = await next()) {
			onChunk(chunk);
			yield chunk;
		}
	}
	return {
		chunks: { [Symbol.asyncIterator]: chunks },
		fault: async (maxBytes) => {
			let left = maxBytes;
			while (!ended && left > 0) {
				const chunk = await next().catch(() => undefined);
				left -= chunk?.length ?? 0;
			}
			return failure?.error;
		},
		close: async () => {
			ended = true;
			await iterator.return?.();
		},
	};
}
