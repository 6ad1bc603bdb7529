import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";

/** The program with crash points uses the same stage1 images as the real one. */
export function linkTestBuild() {
	const images = Object.values(JSON.parse(readFileSync("dist/stage1-images.json", "utf8")));
	for (const name of ["stage1-images.json", ...images.map(({ file }) => file)]) {
		const link = `dist/test-build/${name}`;
		if (existsSync(link)) continue;
		rmSync(link, { force: true });
		symlinkSync(`../${name}`, link);
	}
}
