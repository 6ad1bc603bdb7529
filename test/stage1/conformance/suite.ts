import type { Test } from "tap";
import type { MiniStage0 } from "../../support/mini-stage0.ts";
import { type ConformanceCase, conformanceCases, type Fixtures } from "./cases.ts";
import { checkEnterAndStop, checkForcedStop, checkKilledSupervisor, checkTermination } from "./life.ts";
import { checkNetworkAndJournal } from "./network.ts";
import { runCase } from "./run-case.ts";
import { checkEnterSignals, checkStopSignal, checkStubbornApp } from "./signals.ts";

/** A backend under test, and where it differs from the others: docs/stage1.md has a table of that. */
export interface Backend {
	readonly stage0: MiniStage0;
	readonly fixtures: Fixtures;
	/** What it cannot do: names of tests, by the reason. */
	readonly omitted?: Readonly<Record<string, readonly string[]>>;
	/** Names of the only tests to be run. */
	readonly only?: readonly string[];
	/** What a case says instead, by its name. */
	readonly different?: Readonly<Record<string, Partial<ConformanceCase>>>;
}

type LifeCheck = (t: Test, stage0: MiniStage0, fixtures: Fixtures) => Promise<void>;

const LIFE: Readonly<Record<string, LifeCheck>> = {
	"commands run in the app while it runs, and stop ends it in order": checkEnterAndStop,
	"SIGTERM ends a pod in order": checkTermination,
	"stop with force": checkForcedStop,
	"a supervisor that is killed leaves nothing after gc": checkKilledSupervisor,
	"signals reach a command that was entered": checkEnterSignals,
	"an app that ignores SIGTERM is killed": checkStubbornApp,
	"the stop signal of an image": checkStopSignal,
	"a network, a forwarded port, name servers and the journal": checkNetworkAndJournal,
};

/** Pods from their start to their end; `more` are cases that need something of the host. */
export function testCases(t: Test, backend: Backend, more: readonly ConformanceCase[] = []): void {
	const { stage0, fixtures, different = {} } = backend;
	const cases = [...conformanceCases(fixtures), ...more];
	refuseUnknownNames(backend, [...cases.map(({ name }) => name), ...Object.keys(LIFE)]);
	for (const one of cases.filter(({ name }) => isChosen(backend, name))) {
		t.test(one.name, (t) => runCase(t, stage0, { ...one, ...different[one.name] }));
	}
}

/** What happens to pods while they run. */
export function testLife(t: Test, backend: Backend): void {
	for (const [name, check] of Object.entries(LIFE).filter(([name]) => isChosen(backend, name))) {
		t.test(name, (t) => check(t, backend.stage0, backend.fixtures));
	}
}

function isChosen({ omitted = {}, only }: Backend, name: string): boolean {
	return only?.includes(name) ?? !Object.values(omitted).flat().includes(name);
}

/** A name that no test has would leave out nothing. */
function refuseUnknownNames({ omitted = {}, only = [], different = {} }: Backend, names: string[]): void {
	const named = [...Object.values(omitted).flat(), ...only, ...Object.keys(different)];
	const unknown = named.filter((name) => !names.includes(name));
	if (unknown.length > 0) throw new Error(`no such conformance tests: ${unknown.join(", ")}`);
}
