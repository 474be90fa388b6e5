import sys
from pathlib import Path

print(*sys.argv[1:], sep="\n")
print(sys.prefix, Path.cwd(), sep="\n", file=sys.stderr)
