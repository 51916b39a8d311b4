//! Gossip messages of transactions that cost much and bring nothing: old ones again, more than one's share, and good ones
//! beside bad ones that only some peers can tell.

use super::{Attack, Stranger, Target};
use crate::processes::Processes;
use allod_protocol::{
    agreement::host::gossip,
    ground::{
        codec,
        crypto::SigningKey,
        ids::{AccountId, ContributionId, NetworkId, Signature, Timestamp},
    },
    rules::{action::Action, contribution::AcceptContribution, transaction::Transaction, transaction::TransactionBody},
};
use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long the transactions made here are valid.
const LIFETIME_MS: u64 = 1_800_000;

/// Somebody with an account, and nothing good in mind.
#[derive(Clone, Debug)]
pub struct Sender {
    network: NetworkId,
    /// Its account.
    pub account: AccountId,
    key: SigningKey,
}

impl Sender {
    /// An account of a network, with the key that the network's directory has under the same name.
    pub fn of(net: &Processes, name: &str, account: AccountId) -> Self {
        let path = net.root().join("keys").join(format!("{name}.pem"));
        let text = std::fs::read_to_string(path).expect("a key");
        let target = Target::of(net, &[]);
        Self { network: target.genesis.network_id(), account, key: SigningKey::from_seed(&seed(&text)) }
    }

    /// A transaction that is signed well, is taken into every mempool, and comes to nothing in its block.
    pub fn vain(&self, nonce: u64) -> Transaction {
        let contribution = ContributionId::from_bytes([0xA5; 32]);
        let action = Action::AcceptContribution(AcceptContribution { contribution });
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
        let now = Timestamp::new(u64::try_from(since.as_millis()).expect("a time"));
        let (network, sender, expires) = (self.network, self.account, now.plus_ms(LIFETIME_MS));
        let body = TransactionBody { network, sender, nonce, expires, action, signers: Vec::new() };
        body.sign(std::slice::from_ref(&self.key))
    }

    /// The same with a signature that is none.
    pub fn forged(&self, nonce: u64) -> Transaction {
        Transaction { signatures: vec![Signature::from_bytes([0xA6; 64])], ..self.vain(nonce) }
    }
}

/// The secret of a key file: 32 bytes behind their ASN.1 header.
fn seed(pem: &str) -> [u8; 32] {
    const HEADER: [u8; 4] = [0x04, 0x22, 0x04, 0x20];
    let begin = pem.find("-----BEGIN").expect("a PEM");
    let lines = pem[begin..].lines().skip(1).take_while(|line| !line.starts_with('-'));
    let bytes = base64(&lines.collect::<String>());
    let at = bytes.windows(4).position(|window| window == HEADER).expect("an ed25519 key") + HEADER.len();
    bytes[at..at + 32].try_into().expect("32 bytes")
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte)) {
        bits = (bits << 6) | u32::try_from(digit).expect("six bits");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xFF).expect("a byte"));
        }
    }
    bytes
}

/// Sends the same transactions over and over, so many messages a second, each in another order: to gossip, each is another
/// message. The first ones are executed; from then on all are old.
pub fn begin_again(target: Target, transactions: Vec<Transaction>, per_second: u32) -> Attack {
    Attack::begin(move |sent| async move {
        let stranger = Stranger::join_on(&target, "tx").await;
        let mut pace = tokio::time::interval(Duration::from_secs(1) / per_second);
        let mut transactions = transactions;
        for number in 0usize.. {
            pace.tick().await;
            let (one, other) = (number % transactions.len(), number * 7 % transactions.len());
            transactions.swap(one, other);
            transactions.rotate_left(1);
            if stranger.say.send(gossip::encode_batch(&transactions)).await.is_err() {
                return;
            }
            sent.fetch_add(1, Ordering::Relaxed);
        }
    })
}

/// Each of the senders floods the target with transactions that come to nothing: so many messages a second, with so many
/// transactions in each.
pub fn flood(target: Target, senders: Vec<Sender>, (per_second, each): (u32, u64)) -> Attack {
    Attack::begin(move |sent| async move {
        for sender in senders {
            let (target, sent) = (target.clone(), sent.clone());
            tokio::spawn(async move {
                let stranger = Stranger::join_on(&target, "tx").await;
                let mut pace = tokio::time::interval(Duration::from_secs(1) / per_second);
                for number in 0u64.. {
                    pace.tick().await;
                    let batch: Vec<Transaction> =
                        (number * each..(number + 1) * each).map(|nonce| sender.vain(nonce)).collect();
                    if stranger.say.send(gossip::encode_batch(&batch)).await.is_err() {
                        return;
                    }
                    sent.fetch_add(each, Ordering::Relaxed);
                }
            });
        }
    })
}

/// Says a few messages to the target, and stays connected until the attack is dropped.
pub fn say(target: Target, messages: Vec<Vec<u8>>) -> Attack {
    Attack::begin(move |sent| async move {
        let stranger = Stranger::join_on(&target, "tx").await;
        for message in messages {
            if stranger.say.send(message).await.is_err() {
                return;
            }
            sent.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    })
}

/// The transactions of a gossip message.
pub fn read(message: &[u8]) -> Vec<Transaction> {
    codec::decode(message, message.len()).expect("a batch of transactions")
}

/// Listens to what the target passes on.
pub fn listen(target: Target, heard: std::sync::mpsc::SyncSender<Vec<u8>>) -> Attack {
    Attack::begin(move |sent| async move {
        let mut stranger = Stranger::join_on(&target, "tx").await;
        sent.fetch_add(1, Ordering::Relaxed);
        while let Some(message) = stranger.heard.recv().await {
            if heard.send(message).is_err() {
                return;
            }
        }
    })
}
