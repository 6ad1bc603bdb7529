import type { App } from "./app.ts";
import type { ImageManifest } from "./image-manifest.ts";
import type { PodManifest, RuntimeApp } from "./pod-manifest.ts";

/**
 * A manifest as JSON, byte for byte as the Go implementation writes it: members in the order of its structures,
 * `<`, `>`, `&` escaped, empty members left out, but `null` for the empty lists of a pod (pod.md §1).
 * @param indent Tabs or spaces for one level; nothing gives one line.
 */
export function serializeManifest(manifest: ImageManifest | PodManifest, indent?: string): string {
	const ordered = manifest.acKind === "ImageManifest" ? imageMembers(manifest) : podMembers(manifest);
	return goJson(ordered, indent);
}

/** JSON with the escapes of Go's encoder, which keep it harmless inside HTML and JavaScript. */
export function goJson(value: unknown, indent?: string): string {
	return JSON.stringify(value, undefined, indent).replace(
		/[<>&\u2028\u2029]/g,
		(character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
	);
}

type Members = Record<string, unknown>;

function imageMembers(manifest: ImageManifest): Members {
	return {
		acKind: manifest.acKind,
		acVersion: manifest.acVersion,
		name: manifest.name,
		labels: filled(manifest.labels.map(nameAndValue)),
		app: manifest.app && appMembers(manifest.app),
		annotations: filled(manifest.annotations.map(nameAndValue)),
		dependencies: filled(
			manifest.dependencies.map(({ imageName, imageID, labels, size }) => ({
				imageName,
				imageID,
				labels: filled(labels.map(nameAndValue)),
				size: size || undefined,
			})),
		),
		pathWhitelist: filled(manifest.pathWhitelist),
	};
}

function podMembers(manifest: PodManifest): Members {
	return {
		acVersion: manifest.acVersion,
		acKind: manifest.acKind,
		apps: manifest.apps.map(runtimeAppMembers),
		volumes: orNull(manifest.volumes.map(volumeMembers)),
		isolators: orNull(manifest.isolators.map(nameAndValue)),
		annotations: orNull(manifest.annotations.map(nameAndValue)),
		ports: orNull(
			manifest.ports.map(({ name, hostPort, hostIP, podPort }) => ({
				name,
				hostPort,
				hostIP,
				podPort: podPort && portMembers(podPort),
			})),
		),
		userAnnotations: sorted(manifest.userAnnotations),
		userLabels: sorted(manifest.userLabels),
	};
}

function runtimeAppMembers(app: RuntimeApp): Members {
	const { id, name, labels } = app.image;
	return {
		name: app.name,
		image: { name, id, labels: filled(labels.map(nameAndValue)) },
		app: app.app && appMembers(app.app),
		readOnlyRootFS: app.readOnlyRootFS || undefined,
		mounts: filled(
			app.mounts.map(({ volume, path, appVolume }) => ({
				volume,
				path,
				appVolume: appVolume && volumeMembers(appVolume),
			})),
		),
		annotations: filled(app.annotations.map(nameAndValue)),
	};
}

/** An app section on its own, in the same order. */
export function appMembers(app: App): Members {
	return {
		exec: app.exec,
		eventHandlers: filled(app.eventHandlers.map(({ name, exec }) => ({ name, exec }))),
		user: app.user,
		group: app.group,
		supplementaryGIDs: filled(app.supplementaryGIDs),
		workingDirectory: app.workingDirectory || undefined,
		environment: filled(app.environment.map(nameAndValue)),
		mountPoints: filled(
			app.mountPoints.map(({ name, path, readOnly }) => ({ name, path, readOnly: readOnly || undefined })),
		),
		ports: filled(app.ports.map(portMembers)),
		isolators: filled(app.isolators.map(nameAndValue)),
		userAnnotations: sorted(app.userAnnotations),
		userLabels: sorted(app.userLabels),
	};
}

function portMembers({ name, protocol, port, count, socketActivated }: App["ports"][number]): Members {
	return { name, protocol, port, count, socketActivated };
}

function volumeMembers(volume: PodManifest["volumes"][number]): Members {
	const { name, kind, source, readOnly, recursive, idmap, suid, mode, uid, gid } = volume;
	return { name, kind, source, readOnly, recursive, idmap, suid, mode, uid, gid };
}

function nameAndValue({ name, value }: { readonly name: string; readonly value?: unknown }): Members {
	return { name, value };
}

function filled<T>(list: readonly T[]): readonly T[] | undefined {
	return list.length === 0 ? undefined : list;
}

function orNull<T>(list: readonly T[]): readonly T[] | null {
	return list.length === 0 ? null : list;
}

function sorted(map: Readonly<Record<string, string>>): Record<string, string> | undefined {
	const names = Object.keys(map).sort();
	if (names.length === 0) return undefined;
	return Object.fromEntries(names.map((name) => [name, map[name] ?? ""]));
}
