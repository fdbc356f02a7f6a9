/** A line that makes one of everything that a file system can hold, beside what hides something of the host's layers. */
export const EVERYTHING = `
  cd /srv
  mkdir plain opaque && echo text > plain/file && ln plain/file plain/hard && ln -s ../plain/file plain/soft
  chmod 2751 plain && chown 1000:1001 plain/file && touch -d @1000000000.25 plain/file && chmod 4711 plain/file
  python3 - <<'PY'
import os, socket
os.setxattr("/srv/plain/file", "user.note", b"kept\\x00bytes")
s = socket.socket(socket.AF_UNIX); s.bind("/srv/socket"); s.close()
f = os.open("/srv/sparse", os.O_CREAT | os.O_WRONLY); os.pwrite(f, b"end", 1 << 20); os.close(f)
PY
  mkfifo fifo
  rm /etc/services && rm -r /etc/ssl && mkdir /etc/ssl && echo mine > /etc/ssl/own`;
