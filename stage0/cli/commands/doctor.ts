import * as path from "node:path";
import { writeStdout } from "../../../lib/log.ts";
import type { AreaFindings } from "../../doctor/examine.ts";
import type { Finding, FindingStatus } from "../../doctor/finding.ts";
import type { Handler } from "../command.ts";
import { type OutputFormat, printJson } from "../output/print-json.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** Status when something is missing that every pod needs. */
const EXIT_MISSING = 1;

/** `rkt doctor`: what this machine can isolate, and what to do about the rest. */
export const examineMachine: Handler = async (context, { options }) => {
	const [{ examine }, { createDoctorHost }] = await Promise.all([
		import("../../doctor/examine.ts"),
		import("../../doctor/host.ts"),
	]);
	const host = createDoctorHost({
		syscall: await loadSyscall(),
		dataDirectory: findDataDirectory(context),
		localConfig: context.globals.localConfig,
		programDirectory: __dirname,
		ownCommand: [process.execPath, path.resolve(process.argv[1] as string)],
	});
	const areas = await examine(host);
	const format = options.text("format") as OutputFormat;
	if (format === "") writeStdout(reportText(areas));
	else printJson(reportJson(areas), format);
	return count(areas, "missing") === 0 ? 0 : EXIT_MISSING;
};

function count(areas: readonly AreaFindings[], status: FindingStatus): number {
	return areas.flatMap(({ findings }) => findings).filter((finding) => finding.status === status).length;
}

function reportJson(areas: readonly AreaFindings[]): Record<string, unknown> {
	return {
		ok: count(areas, "ok"),
		warning: count(areas, "warning"),
		missing: count(areas, "missing"),
		checks: areas.flatMap(({ area, findings }) => findings.map((finding) => ({ area, ...finding }))),
	};
}

function reportText(areas: readonly AreaFindings[]): string {
	const blocks = areas.map(({ area, findings }) => `${area}\n${findings.map(findingLines).join("")}`);
	const numbers = (["ok", "warning", "missing"] as const).map(
		(status) => `${count(areas, status)} ${status}`,
	);
	return `${blocks.join("\n")}\n${numbers.join(", ")}\n`;
}

function findingLines({ name, status, detail, remedy }: Finding): string {
	const line = `  ${status.padEnd(8)} ${name}: ${detail}\n`;
	return remedy === undefined ? line : `${line}           ${remedy}\n`;
}
