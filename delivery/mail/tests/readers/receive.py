"""A mail server nobody here wrote. Takes so many mails, keeps each as a file, and ends.

receive.py FOLDER COUNT SECONDS_MAX
"""

import asyncio
import json
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP


class Keeper:
    def __init__(self, folder, count):
        self.folder = folder
        self.missing = count
        self.number = 0
        self.done = asyncio.Event()

    async def handle_DATA(self, server, session, envelope):
        name = self.folder / f"{self.number:04}"
        name.with_suffix(".eml").write_bytes(envelope.original_content)
        said = {"from": envelope.mail_from, "to": envelope.rcpt_tos}
        name.with_suffix(".envelope").write_text(json.dumps(said))
        self.number += 1
        self.missing -= 1
        if self.missing == 0:
            self.done.set()
        return "250 2.0.0 kept"


async def main(folder, count, seconds_max):
    keeper = Keeper(folder, count)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(keeper, enable_SMTPUTF8=False, loop=loop), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.wait_for(keeper.done.wait(), seconds_max)
    # The last answer still has to leave.
    server.close()
    await asyncio.sleep(0.2)


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
