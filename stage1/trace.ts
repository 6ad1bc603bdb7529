import * as fs from "node:fs";
import { lstatIfExists, readTextIfExists } from "../lib/files.ts";
import { writeStderr } from "../lib/log.ts";
import { type Mark, mark, startTrace, takeMarks } from "../lib/trace.ts";
import { readPodFile } from "./pod-files.ts";
import { GUEST_TRACE, tracePath } from "./pod-paths.ts";
import { stage1WritableRoot } from "./pod-record.ts";

/** A phase of a run that has ended, in microseconds. */
export interface Phase {
	readonly phase: string;
	/** Since rkt was started. */
	readonly at: number;
	/** Since the end of the phase before. */
	readonly took: number;
}

/** Set in a pod that is traced; stage1/guest/trace.h. */
const VARIABLE = "RKT_TRACE";

/**
 * The file that tells stage1 that the pod is traced, with what stage0 has to say; which is printed as well. Nothing
 * happens unless {@link startTrace} was called.
 */
export function beginPodTrace(pod: string, began: Mark | undefined): void {
	const marks = takeMarks();
	if (began === undefined || marks === undefined) return;
	fs.writeFileSync(tracePath(pod), markLines([began, ...marks]), { mode: 0o640 });
	print(toPhases([began, ...marks]));
}

/** A stage1 takes notes when stage0 does. */
export function joinPodTrace(pod: string): void {
	if (lstatIfExists(tracePath(pod)) === undefined) return;
	startTrace();
	mark("stage1 load");
}

/**
 * The last thing before the supervisor takes over: adds what stage1 has to say to the file, and prints it. Gives what the
 * pod has to be told so that it takes notes too, as NAME=VALUE; undefined when it is not traced.
 */
export function handOnTrace(pod: string): string | undefined {
	mark("stage1 exec");
	const marks = takeMarks();
	if (marks === undefined) return undefined;
	const before = parseMarks(readTextIfExists(tracePath(pod)) ?? "");
	fs.appendFileSync(tracePath(pod), markLines(marks));
	print(toPhases([...before, ...marks]).slice(-marks.length));
	return `${VARIABLE}=${marks.at(-1)?.at}:${before[0]?.at}`;
}

/**
 * All phases of a run as far as it has come: what stage0, stage1 and its supervisor have written, and what the pod has.
 * Undefined when it is not traced. The pod may have written anything, which changes only what is shown.
 */
export function readTrace(pod: string): Phase[] | undefined {
	const own = readTextIfExists(tracePath(pod));
	if (own === undefined) return undefined;
	const inside = parseMarks(readPodFile(stage1WritableRoot(pod), GUEST_TRACE) ?? "");
	const fromPod = inside.filter(({ phase }) => /^(machine|app|pod) /.test(phase));
	return toPhases([...parseMarks(own), ...fromPod]);
}

/** The form of a phase for people. */
export function phaseText({ phase, at, took }: Phase): string[] {
	return [phase, milliseconds(took), milliseconds(at)];
}

function print(phases: readonly Phase[]): void {
	for (const phase of phases) {
		const [name = "", took = "", at = ""] = phaseText(phase);
		writeStderr(`trace: ${name.padEnd(24)} ${took.padStart(9)} ms, at ${at.padStart(9)} ms\n`);
	}
}

const milliseconds = (microseconds: number): string => (microseconds / 1000).toFixed(1);

/** The first mark is the beginning, and no phase. */
function toPhases(unsorted: readonly Mark[]): Phase[] {
	const marks = [...unsorted].sort((a, b) => a.at - b.at);
	const began = marks[0]?.at ?? 0;
	return marks
		.slice(1)
		.map(({ phase, at }, index) => ({ phase, at: at - began, took: at - (marks[index]?.at ?? began) }));
}

const markLines = (marks: readonly Mark[]): string =>
	marks.map(({ phase, at }) => `${phase} ${at}\n`).join("");

function parseMarks(text: string): Mark[] {
	return text.split("\n").flatMap((line) => {
		const [, phase, at] = /^([a-z0-9][a-z0-9 -]{0,600}) ([0-9]{10,16})$/.exec(line) ?? [];
		return phase === undefined ? [] : [{ phase, at: Number(at) }];
	});
}
