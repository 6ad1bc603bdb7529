import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { type Contestant, call, isInstalled, rktContestant } from "./contestants.ts";
import {
	type BenchRegistry,
	IMAGE_BYTES,
	type ImageName,
	startBenchRegistry,
	writeBenchImages,
} from "./layered-image.ts";
import { type Case, measure } from "./measure.ts";
import { diskTable } from "./report.ts";

export interface OciBench {
	readonly directory: string;
	readonly contestants: readonly Contestant[];
	/** These take seconds each. */
	readonly rounds: number;
}

/** A program that gets images to where they can be run. */
interface Engine {
	readonly name: string;
	pull(host: string, image: ImageName): readonly string[];
	load(file: string): readonly string[];
	/** Where it keeps images. */
	readonly data: string;
	/** Has the image already, so that layers of the next are there. */
	prepare(host: string, image: ImageName): void;
}

/** Tables of what it takes until a layered image can be run, from a registry and from a file. */
export async function fetchOciImages({ directory, contestants, rounds }: OciBench): Promise<string> {
	const place = path.join(directory, "oci");
	fs.mkdirSync(place);
	writeBenchImages(place);
	const engines = [...contestants.map((one) => rktEngine(one, place)), ...otherEngines(place)];
	const registry = await startBenchRegistry(place);
	try {
		const table = (makeCase: MakeCase) => measureEngines({ place, engines, rounds }, makeCase);
		const tables = [
			`From a registry on the loopback interface:\n\n${await table(pulls(registry))}`,
			`The second image, of whose ten layers nine are there:\n\n${await table(seconds(registry))}`,
			`From a file that \`docker save\` wrote:\n\n${await table(loads(place))}`,
		];
		return tables.join("\n\n");
	} finally {
		registry.close();
		fs.rmSync(place, { recursive: true, force: true });
	}
}

type MakeCase = (engine: Engine) => Pick<Case, "command"> & { readonly prepare?: () => void };

interface Race {
	readonly place: string;
	readonly engines: readonly Engine[];
	readonly rounds: number;
}

/**
 * Each run begins with an empty store and an idle disk: what one engine left to be written later, the next one would
 * wait for. Stores of earlier runs stay until the end, because ext4 without a journal avoids inodes that were freed
 * lately, which takes seconds.
 */
async function measureEngines({ place, engines, rounds }: Race, makeCase: MakeCase): Promise<string> {
	const used = path.join(place, "used");
	fs.mkdirSync(used);
	let runs = 0;
	const cases = engines.map((engine) => {
		const { command, prepare } = makeCase(engine);
		const before = (): void => {
			if (fs.existsSync(engine.data)) fs.renameSync(engine.data, path.join(used, String(runs++)));
			fs.mkdirSync(engine.data, { recursive: true });
			prepare?.();
			run(["sync", "--file-system", place]);
		};
		return { name: engine.name, command, before };
	});
	const results = await measure(cases, rounds);
	for (const { data } of engines) fs.rmSync(data, { recursive: true, force: true });
	fs.rmSync(used, { recursive: true });
	return diskTable(results, IMAGE_BYTES);
}

function pulls({ host }: BenchRegistry): MakeCase {
	return (engine) => ({ command: engine.pull(host, "first") });
}

function seconds({ host }: BenchRegistry): MakeCase {
	return (engine) => ({
		command: engine.pull(host, "second"),
		prepare: () => engine.prepare(host, "first"),
	});
}

function loads(place: string): MakeCase {
	return (engine) => ({ command: engine.load(path.join(place, "first.tar")) });
}

function rktEngine({ name, command: [program = ""] }: Contestant, place: string): Engine {
	const one = rktContestant(name, program, place);
	const fetch = ["--insecure-options=image,http", "fetch", "--pull-policy=update"];
	const url = (host: string, image: ImageName): string => `docker://${host}/bench/${image}:1`;
	return {
		name: `${name} fetch`,
		pull: (host, image) => [...one.command, ...fetch, url(host, image)],
		load: (file) => [...one.command, ...fetch, `docker-archive:${file}`],
		data: one.data,
		prepare: (host, image) => void call(one, ...fetch, url(host, image)),
	};
}

/** Those that this machine has. */
function otherEngines(place: string): Engine[] {
	return [
		...(isInstalled("podman") ? [podmanEngine(place)] : []),
		...(isInstalled("umoci") ? [skopeoEngine(place)] : []),
	];
}

function podmanEngine(place: string): Engine {
	const own = path.join(place, "podman");
	const podman = [
		"podman",
		`--root=${own}/root`,
		`--runroot=${own}/run`,
		"--storage-driver=overlay",
		"--cgroup-manager=cgroupfs",
	];
	const url = (host: string, image: ImageName): string => `docker://${host}/bench/${image}:1`;
	const pull = (host: string, image: ImageName): string[] => [
		...[...podman, "pull", "--quiet", "--tls-verify=false"],
		url(host, image),
	];
	return {
		name: "podman",
		pull,
		load: (file) => [...podman, "load", "--quiet", `--input=${file}`],
		data: own,
		prepare: (host, image) => void run(pull(host, image)),
	};
}

/** Copies into a layout, which keeps layers between images, and unpacks all of them into one tree. */
function skopeoEngine(place: string): Engine {
	const own = path.join(place, "skopeo");
	const command = (source: string, image: string): string[] => {
		const layout = `${own}/layout:${image}`;
		const copy = `skopeo copy --quiet --src-tls-verify=false ${source} oci:${layout}`;
		return ["sh", "-c", `${copy} && umoci unpack --image ${layout} ${own}/${image}`];
	};
	return {
		name: "skopeo and umoci",
		pull: (host, image) => command(`docker://${host}/bench/${image}:1`, image),
		load: (file) => command(`docker-archive:${file}`, "first"),
		data: own,
		prepare: (host, image) => void run(command(`docker://${host}/bench/${image}:1`, image)),
	};
}

function run(words: readonly string[]): void {
	const [program = "", ...args] = words;
	const result = spawnSync(program, args, { encoding: "utf8" });
	if (result.status !== 0) throw new Error(`${words.join(" ")}:\n${result.stderr}`);
}
