import { DOCKER_ANNOTATIONS } from "../../../appc/oci/oci-annotations.ts";
import { annotationValue } from "../../../appc/schema/common.ts";
import { shortImageID } from "../../../appc/types/image-id.ts";
import { quote } from "../../../appc/types/quote.ts";
import type { InspectedImage } from "../commands/image-inspect.ts";
import { binarySize, fullTime } from "./human.ts";

const SHORT_DIGITS = 12;

/** An image as `rkt image inspect` prints it: a line `NAME: VALUE` for everything that it has. */
export function describeImage(image: InspectedImage): string {
	const lines = [
		...identity(image),
		...origin(image),
		...places(image),
		...layers(image),
		...execution(image),
	];
	return lines.map(([name, value]) => `${name}: ${value}\n`).join("");
}

type Line = readonly [name: string, value: string];

function identity({ record }: InspectedImage): Line[] {
	return [
		["id", record.key],
		["name", record.name],
		...record.labels.map(({ name, value }): Line => [`label ${name}`, printable(value)]),
	];
}

function origin({ record, manifest }: InspectedImage): Line[] {
	const digest = (name: string, key: keyof typeof DOCKER_ANNOTATIONS): Line[] => {
		const value = annotationValue(manifest.annotations, DOCKER_ANNOTATIONS[key]);
		return value === undefined ? [] : [[name, printable(value)]];
	};
	return [
		["format", record.layers === undefined ? "ACI" : "OCI layers"],
		["source", printable(record.source)],
		["signature", signature(record)],
		["imported", fullTime(new Date(record.importTime))],
		["last used", fullTime(new Date(record.lastUsed))],
		...digest("manifest digest", "manifestHash"),
		...digest("configuration digest", "imageId"),
		...record.dependencies.map(({ imageName }): Line => ["depends on", imageName]),
	];
}

function signature({ insecure, signer }: InspectedImage["record"]): string {
	if (insecure) return "not checked";
	return signer === undefined ? "verified" : `verified, ${printable(signer)}`;
}

function places({ record, sizes, tree }: InspectedImage): Line[] {
	const archive: Line[] = record.layers === undefined ? [["archive", binarySize(record.size)]] : [];
	const rendered = tree?.rendered ? `${tree.treeId}, ${binarySize(record.treeStoreSize)}` : "no";
	return [
		["size on disk", binarySize(sizes.total)],
		["shared with other images", binarySize(sizes.shared)],
		...archive,
		...(tree === undefined ? [] : [["rendered", rendered] as const]),
	];
}

function layers({ sizes }: InspectedImage): Line[] {
	return sizes.layers.map(({ diffId, size, sharedBy }, index) => {
		const others = sharedBy.map((key) => shortImageID(key, SHORT_DIGITS)).join(", ");
		const shared = others === "" ? "" : `, also in ${others}`;
		return [`layer ${index + 1}`, `${diffId}, ${binarySize(size)}${shared}`];
	});
}

function execution({ manifest: { app } }: InspectedImage): Line[] {
	if (app === undefined) return [];
	return [
		["exec", app.exec.map(printable).join(" ")],
		["user", printable(app.user)],
		["group", printable(app.group)],
		...(app.workingDirectory ? [["working directory", printable(app.workingDirectory)] as const] : []),
		...app.ports.map(({ name, port, count, protocol }): Line => {
			const last = count > 1 ? `-${port + count - 1}` : "";
			return [`port ${name}`, `${port}${last}/${protocol}`];
		}),
		...app.mountPoints.map(({ name, path }): Line => [`mount point ${name}`, printable(path)]),
	];
}

/** Values come from outside: only plain words are shown as they are. */
function printable(value: string): string {
	return /^[\x21-\x7e]+$/.test(value) ? value : quote(value);
}
