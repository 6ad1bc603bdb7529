/** Reads a stream of chunks by lengths. */
export interface ByteReader {
	/** The next `length` bytes in one piece, fewer at the end of the data. */
	read(length: number): Promise<Buffer>;
	/** The same without waiting, when they are here already. */
	readNow(length: number): Buffer | undefined;
	/** Whatever comes next, at most `length` bytes; undefined at the end. */
	chunk(length: number): Promise<Buffer | undefined>;
	/** Passes over `length` bytes without waiting; false when they are not all here yet, and then none is passed. */
	skipNow(length: number): boolean;
	/** Passes over `length` bytes; how many there were. */
	skip(length: number): Promise<number>;
	/** Lets go of the source. */
	close(): Promise<void>;
}

/** Chunks are passed on as views, never copied, unless a read crosses their border. */
export function createByteReader(source: AsyncIterable<Buffer>): ByteReader {
	const iterator = source[Symbol.asyncIterator]();
	let current: Buffer = Buffer.alloc(0);
	let at = 0;

	const take = (length: number): Buffer => {
		const piece = current.subarray(at, at + length);
		at += piece.length;
		return piece;
	};
	const next = async (): Promise<boolean> => {
		for (;;) {
			const { done, value } = await iterator.next();
			if (done) return false;
			if (value.length === 0) continue;
			current = value;
			at = 0;
			return true;
		}
	};
	const chunk = async (length: number): Promise<Buffer | undefined> =>
		at < current.length || (await next()) ? take(length) : undefined;
	const readNow = (length: number): Buffer | undefined =>
		current.length - at >= length ? take(length) : undefined;
	const collect = async (length: number): Promise<Buffer> => {
		const pieces: Buffer[] = [];
		let missing = length;
		while (missing > 0) {
			const piece = await chunk(missing);
			if (piece === undefined) break;
			pieces.push(piece);
			missing -= piece.length;
		}
		return Buffer.concat(pieces);
	};

	return {
		chunk,
		readNow,
		skipNow: (length) => {
			if (current.length - at < length) return false;
			at += length;
			return true;
		},
		read: async (length) => readNow(length) ?? (await collect(length)),
		skip: async (length) => {
			let skipped = 0;
			while (skipped < length) {
				const piece = await chunk(length - skipped);
				if (piece === undefined) break;
				skipped += piece.length;
			}
			return skipped;
		},
		close: async () => {
			await iterator.return?.();
		},
	};
}
