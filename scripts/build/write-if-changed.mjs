import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Replaces a file by rename, so that a program that runs from it is not disturbed. False when it was the same. */
export function writeIfChanged(file, contents, mode = 0o644) {
	const bytes = Buffer.from(contents);
	if (existsSync(file) && bytes.equals(readFileSync(file))) return false;
	mkdirSync(path.dirname(file), { recursive: true });
	const temporary = `${file}.${process.pid}.tmp`;
	writeFileSync(temporary, bytes, { mode });
	chmodSync(temporary, mode);
	renameSync(temporary, file);
	return true;
}
