import sys
import time

try:
    print("waiting", flush=True)
    time.sleep(10)
except KeyboardInterrupt:
    print("saved")
    sys.exit(3)
