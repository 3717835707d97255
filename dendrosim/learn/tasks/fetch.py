"""Published files from their servers, kept in the user's cache: whole and with the right checksum.

``DENDROSIM_CACHE`` names another folder for the cache.
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
    """Return a folder of the cache, made where it is not there yet.

    Raises
    ------
    DendrosimError
        If it cannot be made.
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
    """Return a published file, downloaded where it is not in the cache yet.

    Parameters
    ----------
    url
        Where it is published.
    checksum
        Of the file, such as ``"md5:..."``.
    instead
        What one can do without a network, for the error.

    Raises
    ------
    DendrosimError
        If it cannot be had, or is not the published file; nothing is left behind then.
    """
    try:
        import pooch
    except ImportError:
        raise DendrosimError(
            f"pooch is not installed, which downloads: pip install 'dendrosim[learn]'; {instead}"
        ) from None
    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)  # a bar on a terminal says it better
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
    except ValueError:  # what pooch raises for a wrong checksum
        raise DendrosimError(f"{url}: not the published file ({checksum}); {instead}") from None
    except OSError as error:
        raise DendrosimError(
            f"{url}: cannot be downloaded ({type(error).__name__}); {instead}"
        ) from None
    finally:
        log.setLevel(level)


def unzipped(archive: Path, name: str) -> Path:
    """Return a file of a zip archive, unpacked beside the archive where it is not there yet.

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
    """Return a folder with the files of a tar archive, unpacked where it is not there yet.

    Links, devices and the like are passed over.

    Raises
    ------
    DendrosimError
        If the archive is damaged, or a name leads out of it; nothing is left behind then.
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
                    with target.open("wb") as file:
                        shutil.copyfileobj(opened.extractfile(member), file)
        scratch.rename(folder)
    except DendrosimError:
        raise
    except BROKEN as error:
        raise DendrosimError(f"{archive}: cannot be unpacked ({error})") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder
