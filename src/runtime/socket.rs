//! A connection to a server: plain, or by TLS. Reads and writes without waiting go through the same enum: what is plain
//! pays for one branch.

use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// While so much room is left in a buffer no other one is taken: slices of what was read are kept, and each holds its whole
/// buffer.
const ROOM: usize = 64 * 1024;
/// One read of what TLS has decrypted.
const PIECE: usize = 16 * 1024;

/// A connection to a server.
#[derive(Debug)]
pub enum Socket {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<Tls>),
}

/// An encrypted connection.
#[derive(Debug)]
pub struct Tls {
    stream: TlsStream<TcpStream>,
    /// Something may be decrypted that was not taken yet.
    pending: bool,
}

impl Socket {
    /// An encrypted connection, after the handshake.
    pub fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(Tls { stream, pending: true }))
    }

    /// Waits until something can be read or written, as `interest` asks.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Plain(stream) => stream.ready(interest).await,
            Self::Tls(tls) if tls.pending && interest.is_readable() => Ok(Ready::READABLE),
            Self::Tls(tls) => {
                let (stream, session) = tls.stream.get_ref();
                let interest = if session.wants_write() { interest | Interest::WRITABLE } else { interest };
                stream.ready(interest).await
            }
        }
    }

    /// Reads what is there, `most` bytes or a little more; 0 at the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; else the connection fails.
    pub fn try_read(&mut self, input: &mut BytesMut, most: usize) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => {
                if input.capacity() - input.len() < ROOM.min(most) {
                    input.reserve(most);
                }
                stream.try_read_buf(input)
            }
            Self::Tls(tls) => tls.try_read(input, most),
        }
    }

    /// Writes what the connection takes now.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; else the connection fails.
    pub fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_write_vectored(slices),
            Self::Tls(tls) => {
                tls.flush()?;
                let written = tls.stream.get_mut().1.writer().write_vectored(slices)?;
                match tls.flush() {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                    Ok(()) | Err(_) => Ok(written),
                }
            }
        }
    }

    /// Hands on what is encrypted and not written yet.
    ///
    /// # Errors
    /// `WouldBlock` when the connection does not take all of it; else it fails.
    pub fn try_flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

impl Tls {
    fn try_read(&mut self, input: &mut BytesMut, most: usize) -> io::Result<usize> {
        self.pending = false;
        let (stream, session) = self.stream.get_mut();
        let before = input.len();
        loop {
            loop {
                input.reserve(PIECE);
                let mut piece = [0; PIECE];
                match session.reader().read(&mut piece) {
                    // The end, which the server has told.
                    Ok(0) => return Ok(input.len() - before),
                    Ok(read) => input.put_slice(piece.get(..read).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // The end, which it has not told: what came before counts.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(input.len() - before),
                    Err(error) => return Err(error),
                }
            }
            if input.len() - before >= most {
                return Ok(input.len() - before);
            }
            match session.read_tls(&mut Now(stream)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && input.len() > before => {
                    return Ok(input.len() - before);
                }
                Err(error) => return Err(error),
            }
            session.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let (stream, session) = self.stream.get_mut();
        while session.wants_write() {
            session.write_tls(&mut Now(stream))?;
        }
        Ok(())
    }
}

/// The socket below, for reads and writes that do not wait.
struct Now<'a>(&'a mut TcpStream);

impl Read for Now<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(piece)
    }
}

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn what_comes_in_small_pieces_shares_buffers() -> io::Result<()> {
        const MOST: usize = 256 * 1024;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut writer = TcpStream::connect(listener.local_addr()?).await?;
        let mut socket = Socket::Plain(listener.accept().await?.0);
        let mut input = BytesMut::new();
        let mut kept = Vec::new();
        for _ in 0..100 {
            writer.write_all(&[b'x'; 1024]).await?;
            socket.ready(Interest::READABLE).await?;
            match socket.try_read(&mut input, MOST) {
                Ok(read) => kept.push(input.split_to(read).freeze()),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        let apart = |pair: &[bytes::Bytes]| pair[0].as_ptr().wrapping_add(pair[0].len()) != pair[1].as_ptr();
        assert_eq!(kept.windows(2).filter(|pair| apart(pair)).count(), 0, "of {} pieces", kept.len());
        Ok(())
    }
}
