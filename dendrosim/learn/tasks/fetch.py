"""Download of published files to the user's cache, with verified checksums.

The variable ``DENDROSIM_CACHE`` sets another folder for the cache.
"""

from __future__ import annotations

import logging
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from dendrosim.devices.program_cache import cache_folder
from dendrosim.errors import DendrosimError
from dendrosim.files import replacing
from dendrosim.learn.tasks.sources import BROKEN, safe_name
from dendrosim.progress import on_terminal


def kept(name: str) -> Path:
    """Return a folder of the cache; create it if needed.

    Raises
    ------
    DendrosimError
        If it cannot be created.
    """
    folder = cache_folder() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DendrosimError(
            f"{folder}: cannot be made ({error.strerror}); set DENDROSIM_CACHE to a folder that "
            "can be written"
        ) from None
    return folder


def fetch(url: str, checksum: str, instead: str) -> Path:
    """Return a published file; download it if it is not in the cache.

    Parameters
    ----------
    url
        Address of the file.
    checksum
        Checksum of the file, such as ``"md5:..."``.
    instead
        Alternative without network access, for the error message.

    Raises
    ------
    DendrosimError
        If the download fails or the checksum differs; no file is kept then.
    """
    try:
        import pooch
    except ImportError:
        raise DendrosimError(
            f"pooch, for downloads, is not installed: pip install 'dendrosim[learn]'; {instead}"
        ) from None
    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)  # a progress bar is shown on a terminal instead
    try:
        return Path(
            pooch.retrieve(
                url,
                known_hash=checksum,
                fname=url.rsplit("/", 1)[-1],
                path=kept("data"),
                progressbar=on_terminal(),
            )
        )
    except ValueError:  # pooch raises this for a wrong checksum
        raise DendrosimError(f"{url}: not the published file ({checksum}); {instead}") from None
    except OSError as error:
        raise DendrosimError(
            f"{url}: cannot be downloaded ({type(error).__name__}); {instead}"
        ) from None
    finally:
        log.setLevel(level)


def unzipped(archive: Path, name: str) -> Path:
    """Return a file of a zip archive; extract it next to the archive if needed.

    Raises
    ------
    DendrosimError
        If the archive has no such file or is damaged.
    """
    target = archive.parent / name
    if target.is_file():
        return target
    with replacing(target) as temporary:
        try:
            with zipfile.ZipFile(archive) as opened, temporary.open("wb") as file:
                shutil.copyfileobj(opened.open(name), file)
        except (KeyError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise DendrosimError(f"{archive}: has no readable {name} ({error})") from None
    return target


def untarred(archive: Path, folder: Path) -> Path:
    """Return a folder with the files of a tar archive; extract them if needed.

    Links, devices and other special entries are skipped.

    Raises
    ------
    DendrosimError
        If the archive is damaged, or a path points outside it; no file is kept then.
    """
    if folder.is_dir():
        return folder
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        with tarfile.open(archive, "r:*") as opened:
            for member in opened:
                target = scratch / safe_name(member.name, archive)
                if member.isreg():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    content = opened.extractfile(member)
                    assert content is not None  # it is a regular file
                    with target.open("wb") as file:
                        shutil.copyfileobj(content, file)
        scratch.rename(folder)
    except DendrosimError:
        raise
    except BROKEN as error:
        raise DendrosimError(f"{archive}: cannot be unpacked ({error})") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder
