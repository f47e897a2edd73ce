"""A mail server nobody here wrote. Takes so many mails, keeps each as a file, and ends.

receive.py FOLDER COUNT SECONDS_MAX [PAUSE]: it waits so many seconds before it says that it has a mail.
"""

import asyncio
import json
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP


class Keeper:
    def __init__(self, folder, count, pause):
        self.folder = folder
        self.pause = pause
        self.missing = count
        self.number = 0
        self.done = asyncio.Event()

    async def handle_DATA(self, server, session, envelope):
        name = self.folder / f"{self.number:04}"
        self.number += 1
        said = {"from": envelope.mail_from, "to": envelope.rcpt_tos}
        name.with_suffix(".envelope").write_text(json.dumps(said))
        name.with_suffix(".eml").write_bytes(envelope.original_content)
        await asyncio.sleep(self.pause)
        self.missing -= 1
        if self.missing == 0:
            self.done.set()
        return "250 2.0.0 kept"


async def main(folder, count, seconds_max, pause):
    keeper = Keeper(folder, count, pause)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(keeper, enable_SMTPUTF8=False, loop=loop), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.wait_for(keeper.done.wait(), seconds_max)
    # The last answer still has to leave.
    server.close()
    await asyncio.sleep(0.2)


pause = float(sys.argv[4]) if len(sys.argv) > 4 else 0
asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), pause))
