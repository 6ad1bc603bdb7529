# Shell text from the manifests of a pod and of the image of $app.
(.apps[] | select(.name == $app)) as $run | ($run.app // $image[0].app) as $this | .volumes as $volumes |
def words: [.[]? | tostring] | @sh;
def hook($name): [$this.eventHandlers[]? | select(.name == $name) | .exec[]] | words;
def mounts: ($run.mounts // []) as $given | $given[],
	($this.mountPoints[]? | select(.path as $path | any($given[]; .path == $path) | not) |
		{volume: .name, path, readOnly, otherwise: {name: .name, kind: "empty", implicit: true}});
if any($this.environment[]?; .name | startswith("LD_")) then error("programs of the host would obey LD_…") else . end |
"exec=(\($this.exec | words)) pre_start=(\(hook("pre-start"))) post_stop=(\(hook("post-stop")))",
"user=\($this.user | @sh) group=\($this.group | @sh) directory=\($this.workingDirectory // "/" | @sh)",
"groups=\([$this.supplementaryGIDs // [] | map(tostring) | select(. != []) | "--groups=" + join(",")] | words)",
"environment=(\([
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SHELL=/bin/sh", "USER=root", "LOGNAME=root",
	"HOME=/root", "container=rkt", ($this.environment[]? | "\(.name)=\(.value)"), "AC_APP_NAME=\($app)",
	($url | select(. != "") | "AC_METADATA_URL=\(.)")] | words))",
"read_only=\($run.readOnlyRootFS // false)",
"mount_volumes() {",
([mounts] | sort_by(.path)[] | . as $mount |
	(.appVolume // ($volumes[]? | select(.name == $mount.volume)) // .otherwise //
		error("could not find volume \"\(.volume)\"")) |
	"volume \([.name, .kind, .source // "", $mount.path, .readOnly // $mount.readOnly // false, .mode // "0755", .uid // 0, .gid // 0, .implicit // false] | words)"),
":; }"
