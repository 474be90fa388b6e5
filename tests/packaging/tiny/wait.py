import signal
import sys
import time


def save(number: int, frame: object) -> None:
    print("saved")
    sys.exit(3)


signal.signal(signal.SIGINT, save)  # by name: a shell's background jobs start with it ignored
print("waiting", flush=True)
time.sleep(60)
