/** What runs on a terminal for which nothing else was asked: the user's shell as passwd names it, or what there is. */
export const DEFAULT_SHELL =
  'case "$SHELL" in */nologin | */false) ;; *) [ -x "$SHELL" ] && exec "$SHELL" ;; esac; ' +
  "command -v bash > /dev/null && exec bash; exec sh";
