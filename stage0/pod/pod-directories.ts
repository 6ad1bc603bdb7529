import * as path from "node:path";
import { listDirectory } from "../../lib/files.ts";
import type { PodDirectoryName } from "./states.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A pod as its place in the file system; the state may change at any moment unless it is locked. */
export interface PodPlace {
	readonly uuid: string;
	readonly where: PodDirectoryName;
	/** Absolute path of the pod directory. */
	readonly directory: string;
}

/** The directory of all pods in one state. */
export function stateDirectory(dataDirectory: string, where: PodDirectoryName): string {
	return path.join(dataDirectory, "pods", where);
}

export function podPlace(dataDirectory: string, where: PodDirectoryName, uuid: string): PodPlace {
	return { uuid, where, directory: path.join(dataDirectory, "pods", where, uuid) };
}

export function isUuid(text: string): boolean {
	return UUID.test(text);
}

export interface PodPlaces {
	/** Sorted by UUID; a pod that moved while we looked is listed once. */
	readonly places: readonly PodPlace[];
	/** Lines about entries that are no pods. */
	readonly warnings: readonly string[];
}

/** The pods in the named directories. Errors: those of readdir(3), such as EACCES. */
export function listPodPlaces(dataDirectory: string, names: readonly PodDirectoryName[]): PodPlaces {
	const byUuid = new Map<string, PodPlace>();
	const warnings: string[] = [];
	for (const where of names) {
		for (const name of listDirectory(stateDirectory(dataDirectory, where))) {
			if (isUuid(name)) byUuid.set(name, podPlace(dataDirectory, where, name));
			else warnings.push(`skipping ${JSON.stringify(name)}: no pod UUID, in ${where}`);
		}
	}
	const places = [...byUuid.values()].sort((a, b) => (a.uuid < b.uuid ? -1 : 1));
	return { places, warnings };
}
