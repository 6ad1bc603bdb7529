import { createHash } from "node:crypto";
import type { AciLimits } from "./limits.ts";
import { refuseSize } from "./refuse.ts";

export interface Meter {
	compressed(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer>;
	expanded(
		input: AsyncIterable<Buffer>,
		onChunk: ((chunk: Buffer) => Promise<void> | void) | undefined,
		how?: { readonly hashed: boolean },
	): AsyncGenerator<Buffer>;
	/** Counts the holes of a file. */
	addHoles(bytes: number): void;
	/** Of what came out; the digest only when it was hashed. */
	result(): { readonly digest: Buffer; readonly uncompressedBytes: number };
}

/** Counts both sides of the decompression, hashes what comes out, and stops archives that grow without measure. */
export function createMeter(algorithm: "sha256" | "sha512", source: string, limits: AciLimits): Meter {
	const hash = createHash(algorithm);
	let bytesIn = 0;
	let bytesOut = 0;
	let holeBytes = 0;
	const check = (): void => {
		if (bytesOut > limits.maxExpandedBytes) {
			refuseSize(source, `more than ${limits.maxExpandedBytes} bytes when expanded`);
		}
		if (bytesOut > limits.ratioFloorBytes && bytesOut > bytesIn * limits.maxRatio) {
			refuseSize(source, `it expands to more than ${limits.maxRatio} times its size`);
		}
	};
	return {
		compressed: async function* (input) {
			for await (const chunk of input) {
				bytesIn += chunk.length;
				if (bytesIn > limits.maxExpandedBytes)
					refuseSize(source, `more than ${limits.maxExpandedBytes} bytes`);
				yield chunk;
			}
		},
		expanded: async function* (input, onChunk, { hashed } = { hashed: true }) {
			for await (const chunk of input) {
				bytesOut += chunk.length;
				check();
				if (hashed) hash.update(chunk);
				const pending = onChunk?.(chunk);
				if (pending !== undefined) await pending;
				yield chunk;
			}
		},
		addHoles: (bytes) => {
			holeBytes += bytes;
			if (holeBytes > limits.maxHoleBytes)
				refuseSize(source, `sparse files with holes of more than ${limits.maxHoleBytes} bytes`);
		},
		result: () => ({ digest: hash.digest(), uncompressedBytes: bytesOut }),
	};
}
