import { writeSync } from "node:fs";

export interface Log {
	/** A line on standard error as `prefix: message`. */
	info(message: string): void;
	/** The same, only with --debug. */
	debug(message: string): void;
	readonly debugging: boolean;
	/** The same destination under another prefix. */
	withPrefix(prefix: string): Log;
}

/** A logger in rkt's form. Writes are synchronous, so that nothing is lost when the process is replaced by exec. */
export function createLog(prefix: string, debugging: boolean): Log {
	const info = (message: string): void => {
		writeStderr(`${prefix}: ${message.endsWith("\n") ? message : `${message}\n`}`);
	};
	return {
		info,
		debug: (message) => {
			if (debugging) info(message);
		},
		debugging,
		withPrefix: (other) => createLog(other, debugging),
	};
}

export function writeStderr(text: string): void {
	writeAll(2, text);
}

export function writeStdout(text: string): void {
	writeAll(1, text);
}

/** Waits when a non-blocking descriptor is full; a reader that is gone is not an error of ours. */
function writeAll(fd: number, text: string): void {
	let rest: Uint8Array = Buffer.from(text);
	while (rest.length > 0) {
		try {
			rest = rest.subarray(writeSync(fd, rest));
		} catch (error) {
			const code = (error as NodeJS.ErrnoException).code;
			if (code === "EPIPE" || code === "EBADF") return;
			if (code !== "EAGAIN") throw error;
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
		}
	}
}
