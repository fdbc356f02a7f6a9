/** An entry of an archive as the reader gives it: an empty file, where nothing else is said. */
export function tarEntry(name, type = "0", more = {}) {
    return {
        ...{ name, type, mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 1, link: "", major: 0, minor: 0, offset: 0 },
        attributes: new Map(),
        ...more,
    };
}
