"""Write the package's dictionary from the published text.

``python -m novasr_np.networks.inflect.text.build_dictionary cmudict.rep``
"""

import argparse
import lzma
from pathlib import Path

from . import dictionary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="cmudict.rep, the dictionary with syllables")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).parent / dictionary.FILE
    )
    options = parser.parse_args()
    entries = dictionary.parse(options.source.read_text("ascii"))
    content = lzma.compress(dictionary.pack(entries), preset=9 | lzma.PRESET_EXTREME)
    options.output.write_bytes(content)
    print(f"{options.output}: {len(entries)} words, {len(content)} bytes")


if __name__ == "__main__":
    main()
