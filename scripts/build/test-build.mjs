import { existsSync, rmSync, symlinkSync } from "node:fs";

/** The program with crash points uses the same stage1 images as the real one. */
export function linkTestBuild() {
	for (const name of ["stage1-images.json", "stage1-nspawn.aci"]) {
		const link = `dist/test-build/${name}`;
		if (existsSync(link)) continue;
		rmSync(link, { force: true });
		symlinkSync(`../${name}`, link);
	}
}
