import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import fc from "fast-check";
import t from "tap";
import { type AppUnit, appUnitText } from "../../stage1/units/app-unit.ts";
import { renderUnit } from "../../stage1/units/unit-text.ts";
import { onSystemdHost } from "../support/on-systemd-host.ts";
import { anyText, parsed, sample } from "./run-property.ts";

/* What systemd itself reads in the units that are written, on a host where it runs. */

const UNITS = "/run/systemd/system";
const HUNDREDS = 3;

const identifier = fc.stringMatching(/^[a-z0-9]([-._~/a-z0-9]{0,30}[a-z0-9])?$/);
const size = fc.bigInt({ min: 4096n, max: 2n ** 50n });
const unit: fc.Arbitrary<AppUnit> = fc.record({
	app: fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/),
	podUuid: fc.uuid(),
	imageName: identifier,
	imageId: fc.stringMatching(/^sha512-[0-9a-f]{64}$/),
	streams: fc.constantFrom("journal" as const, "terminal" as const, "keeper" as const),
	notify: fc.boolean(),
	hasPreStart: fc.boolean(),
	hasPostStop: fc.boolean(),
	limits: fc.record(
		{
			memoryLimit: size,
			pidsLimit: fc.bigInt({ min: 1n, max: 4_194_304n }),
			oomScoreAdjust: fc.integer({ min: -1000, max: 1000 }),
		},
		{ requiredKeys: [] },
	),
	ownKernel: fc.boolean(),
	devices: fc.constant([]),
	sockets: fc.constant([]),
	stopSignal: fc.option(fc.integer({ min: 1, max: 31 }), { nil: undefined }),
});

/** The properties of units by their names, systemctl(1). */
function show(names: readonly string[], properties: readonly string[]): Map<string, Map<string, string>> {
	const argv = ["show", `--property=Id,${properties.join(",")}`, ...names];
	const text = execFileSync("systemctl", argv, { encoding: "utf8", maxBuffer: 1 << 28 });
	const blocks = text.split("\n\n").map((block) => {
		const pairs = block
			.split("\n")
			.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
		return new Map(pairs as [string, string][]);
	});
	return new Map(blocks.map((block) => [block.get("Id") ?? "", block]));
}

function load(texts: readonly string[]): string[] {
	const names = texts.map((text, index) => {
		const name = `rkt-fuzz-${index}.service`;
		fs.writeFileSync(path.join(UNITS, name), text);
		return name;
	});
	execFileSync("systemctl", ["daemon-reload"]);
	return names;
}

if (onSystemdHost(t, ["hybrid"], 120) !== undefined) {
	t.test("the units of apps mean what was meant", (t) => {
		const units = sample(unit, HUNDREDS);
		const names = load(units.map(appUnitText));
		const properties = [
			"Description",
			"Type",
			"LogExtraFields",
			"ExecStart",
			"MemoryMax",
			"TasksMax",
			"OOMScoreAdjust",
		];
		const seen = show(names, properties);
		units.forEach((one, index) => {
			const of = (property: string): string => seen.get(names[index] as string)?.get(property) ?? "";
			const fields = `RKT_POD_UUID=${one.podUuid} RKT_IMAGE_NAME=${one.imageName} RKT_IMAGE_ID=${one.imageId}`;
			const read = {
				description: of("Description"),
				type: of("Type"),
				fields: of("LogExtraFields"),
				exec: /argv\[\]=([^;]*) ;/.exec(of("ExecStart"))?.[1],
				tasks: of("TasksMax"),
			};
			const meant = {
				description: `Application=${one.app} Image=${one.imageName}`,
				type: one.notify ? "notify" : "simple",
				fields: one.streams === "terminal" ? "" : fields,
				exec: `/rkt/launch ${one.app}`,
				tasks: String(one.limits.pidsLimit ?? 4096n),
			};
			if (JSON.stringify(read) !== JSON.stringify(meant)) t.match(read, meant);
		});
		t.pass(`${units.length} units`);
		t.end();
	});

	t.test("a value is refused, or it is the whole value and nothing else", (t) => {
		const texts = sample(anyText, HUNDREDS);
		const taken = texts.flatMap((value) => {
			const text = parsed(
				() =>
					renderUnit([
						["Unit", [["Description", value]]],
						["Service", [["ExecStart", "/bin/true"]]],
					]),
				["unit-value-invalid"],
			);
			return text === undefined || value === "" ? [] : [{ value, text }];
		});
		const names = load(taken.map(({ text }) => text));
		const seen = show(names, ["Description", "ExecStart"]);
		for (const [index, { value }] of taken.entries()) {
			const properties = seen.get(names[index] as string);
			if (properties?.get("Description") !== value || !properties.get("ExecStart")?.includes("/bin/true")) {
				t.equal(properties?.get("Description"), value, JSON.stringify(value));
			}
		}
		t.ok(taken.length > texts.length / 4, `${taken.length} of ${texts.length} values were taken`);
		t.end();
	});
}
