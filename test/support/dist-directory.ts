import * as fs from "node:fs";
import * as path from "node:path";

/** The build output that this program is a part of. */
export function distDirectory(): string {
	for (let directory = __dirname; directory !== "/"; directory = path.dirname(directory)) {
		if (fs.existsSync(path.join(directory, "rkt.cjs"))) return directory;
	}
	throw new Error(`${__dirname} is not inside a built dist directory: run npm run build`);
}
