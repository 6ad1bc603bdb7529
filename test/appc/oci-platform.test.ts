import t from "tap";
import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { choosePlatform, formatPlatform, runnablePlatform } from "../../appc/oci/platform.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** Entries of an index from `os/architecture/variant`; "" is one without a platform. */
const entries = (...names: string[]): OciDescriptor[] =>
	names.map((name, index) => {
		const [os = "", architecture = "", variant] = name.split("/");
		const platform = name === "" ? {} : { platform: { os, architecture, ...(variant ? { variant } : {}) } };
		return { mediaType: MANIFEST, digest: `sha256:${String(index).repeat(64)}`, size: 1, ...platform };
	});

t.test("the entry of an index for a machine", (t) => {
	const cases: [string[], ReturnType<typeof runnablePlatform>, number | undefined][] = [
		[["linux/arm64/v8", "linux/amd64"], runnablePlatform("linux", "x64", "LE"), 1],
		[["windows/amd64", "linux/amd64", "linux/amd64"], runnablePlatform("linux", "x64", "LE"), 1],
		[["linux/amd64/v3", "linux/amd64/v1"], runnablePlatform("linux", "x64", "LE"), 1],
		[["linux/amd64/v3"], runnablePlatform("linux", "x64", "LE"), undefined],
		[["linux/arm64"], runnablePlatform("linux", "arm64", "LE"), 0],
		[["linux/arm64", "linux/arm64/v8"], runnablePlatform("linux", "arm64", "LE"), 1],
		[["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], runnablePlatform("linux", "arm", "LE", "7"), 2],
		[["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], runnablePlatform("linux", "arm", "LE", "6"), 2],
		[["linux/arm/v7"], runnablePlatform("linux", "arm", "LE", "6"), undefined],
		[["linux/ppc64", "linux/ppc64le"], runnablePlatform("linux", "ppc64", "LE"), 1],
		[["linux/386", "linux/amd64"], runnablePlatform("linux", "ia32", "LE"), 0],
		[["linux/riscv64"], runnablePlatform("linux", "riscv64", "LE"), 0],
		[[""], runnablePlatform("linux", "x64", "LE"), 0],
		[["", ""], runnablePlatform("linux", "x64", "LE"), undefined],
		[["unknown/unknown", "linux/amd64"], runnablePlatform("linux", "x64", "LE"), 1],
		[["", "unknown/unknown"], runnablePlatform("linux", "x64", "LE"), 0],
		[["unknown/unknown"], runnablePlatform("linux", "x64", "LE"), undefined],
		[[], runnablePlatform("linux", "x64", "LE"), undefined],
	];
	for (const [names, machine, wanted] of cases) {
		const list = entries(...names);
		t.equal(
			choosePlatform(list, machine),
			wanted === undefined ? undefined : list[wanted],
			`${names} on ${machine.architecture}`,
		);
	}
	const other = entries("linux/amd64").map((entry) => ({ ...entry, mediaType: "application/vnd.example" }));
	t.equal(
		choosePlatform(other, runnablePlatform("linux", "x64", "LE")),
		undefined,
		"what is no image is not taken",
	);
	t.equal(formatPlatform({ os: "linux", architecture: "arm", variant: "v7" }), "linux/arm/v7");
	t.end();
});
