import * as fs from "node:fs";
import * as path from "node:path";
import { messageOf } from "../../lib/errors.ts";
import { bundledStage1 } from "../fetch/stage1-bundle.ts";
import { readPolicyFiles } from "../policy/policy-files.ts";
import { exchangeablePart } from "../policy/root-only-path.ts";
import { type DoctorHost, type Finding, missing, ok, warning } from "./finding.ts";

export async function probeConfiguration(host: DoctorHost): Promise<Finding[]> {
	return [
		directory("data directory", host.dataDirectory),
		directory("local configuration", host.localConfig),
		await policy(host),
		stage1(host),
	];
}

function directory(name: string, place: string): Finding {
	const part = exchangeablePart(place);
	const there = fs.existsSync(place) ? place : `${place}, which does not exist yet`;
	if (part === undefined) return ok(name, there);
	return warning(
		name,
		`${there}: others than root may change ${part}`,
		`chown root ${part}; chmod go-w ${part}`,
	);
}

/** With a policy that cannot be used no pod starts. */
async function policy({ localConfig }: DoctorHost): Promise<Finding> {
	try {
		const files = readPolicyFiles(localConfig);
		const { parsePolicy } = await import("../policy/schema.ts");
		const rules = files.flatMap(({ file, text }) => parsePolicy(text, file));
		return ok("policy", files.length === 0 ? "none" : `${rules.length} rules in ${files.length} files`);
	} catch (error) {
		return missing("policy", messageOf(error), "no pod starts: correct the file, or take it out of policy.d");
	}
}

function stage1({ programDirectory }: DoctorHost): Finding {
	const images = [...bundledStage1(programDirectory)];
	const absent = images
		.filter(([, { file }]) => !fs.existsSync(file))
		.map(([, { file }]) => path.basename(file));
	const remedy = "install rkt again, or name another image in stage1.d";
	if (images.length === 0)
		return missing("stage1 images", `none beside the program in ${programDirectory}`, remedy);
	if (absent.length > 0) return missing("stage1 images", `not there: ${absent.join(", ")}`, remedy);
	return ok("stage1 images", images.map(([name]) => name).join(", "));
}
