#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Keys of every type with the mesh command: made, shown, in a chain of all of
# them, and by openssl where it has the form.  Needs no nginx.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use JSON::PP ();
use MIME::Base64 ();
use Test::More;
use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant { OK => 0, REFUSED => 1, USAGE => 2 };

my $ALPHABET = '[1-9A-HJ-NP-Za-km-z]';

# name, how a DID begins, the line of the file

my %TYPES = (
    ed25519   => [ 'Ed25519', qr/z6Mk$ALPHABET{44}/, qr/ed25519:[\w-]{43}/ ],
    p256      => [ 'P-256', qr/zDn$ALPHABET{46}/, qr/p256:[\w-]{43}/ ],
    secp256k1 => [ 'secp256k1', qr/zQ3s$ALPHABET{45}/,
                   qr/secp256k1:[\w-]{43}/ ],
    p384      => [ 'P-384', qr/z82L$ALPHABET{60,70}/, qr/p384:[\w-]{64}/ ],
    p521      => [ 'P-521', qr/z2J9$ALPHABET{85,95}/, qr/p521:[\w-]{88}/ ],
    rsa       => [ 'RSA', qr/z4MX$ALPHABET{360,380}/,
                   qr/rsa:MII[\w-]{1500,1700}/ ],
);

my ($built, $text) = Mesh::Test->build('mesh');

is($built, 0, 'the command builds') or BAIL_OUT($text);

my $folder = File::Temp->newdir;
my ($rc, $out, $err);

chdir $folder or die "$folder: $!";


sub mesh {
    my @args = @_;

    ($rc, $out, $err) = Mesh::Test::run(
        [ Mesh::Test->output_folder . '/mesh', @args ],
        env => Mesh::Test->sanitizer_options);

    return $out =~ s/\n\z//r;
}


sub mesh_json {
    return JSON::PP::decode_json(mesh(@_, '--json'));
}


sub save {
    my ($name, $content) = @_;

    open my $file, '>', $name or die "$name: $!";
    binmode $file;
    print $file $content;
    close $file or die "$name: $!";
    chmod 0600, $name;

    return $name;
}


sub content {
    my ($name) = @_;

    open my $file, '<', $name or die "$name: $!";
    local $/;

    return scalar <$file>;
}


my $root = mesh('init', 'data');
my %did;

for my $type (sort keys %TYPES) {
    my ($name, $like, $line) = @{$TYPES{$type}};

    subtest $type => sub {
        $did{$type} = mesh('key', 'new', "$type.key", '--type', $type);

        is($rc, OK, 'a key is made');
        like($did{$type}, qr/^did:key:$like$/, 'its DID tells its type');
        like(content("$type.key"), qr/\A$line\n\z/, 'its file is one line');
        is(sprintf('%04o', (stat "$type.key")[2] & 07777), '0600',
           'that only its owner reads');

        my $shown = mesh_json('key', 'show', "$type.key");

        is($shown->{did}, $did{$type}, 'it is shown');
        is($shown->{type}, $name, 'with its type');

        # all but Ed25519, whose file has no number that is too large

        my $cut = content("$type.key") =~ s/.{4}\n\z//r;

        save('cut.key', $cut);
        mesh('key', 'show', 'cut.key');
        is($rc, REFUSED, 'a line that was cut is none');
    };
}


subtest 'a chain of all types' => sub {
    my @types = sort keys %TYPES;

    mesh('key', 'new', 'eve.key', '--type', $types[-1]);

    for my $format ('1.0', '0.10') {
        my $key = 'data/mesh.key';
        my @from;

        for my $type (@types) {
            my $links = mesh('delegate', '--key', $key, '--to', $did{$type},
                             '--subject', $root, '--command', '/room',
                             '--expires', '1h', '--format', $format, @from);

            is($rc, OK, "$format: a link to a key of $type") or diag($err);

            save("$type.links", $links);
            $key = "$type.key";
            @from = ('--from', "$type.links");
        }

        save('token', mesh('token', '--key', $key, '--audience', $root,
                           '--proof', "$types[-1].links", '--format',
                           $format));
        is($rc, OK, 'a token for the last of them') or diag($err);

        my $answer = mesh_json('verify', 'token', '--audience', $root,
                               '--command', '/room/read', '--arg', 'room=r');

        is($answer->{verdict}, 'ok', 'a mesh takes it');

        my $wrong = mesh('token', '--key', 'eve.key', '--audience', $root,
                         '--proof', "$types[-1].links", '--format', $format);

        if ($rc == OK) {
            save('wrong', $wrong);
            mesh_json('verify', 'wrong', '--audience', $root, '--command',
                      '/room/read', '--arg', 'room=r');
        }

        is($rc, REFUSED, 'but not from a stranger with the same type of key');
    }
};


subtest 'openssl' => sub {
    my ($found) = Mesh::Test::run([ 'openssl', 'version' ]);

    plan skip_all => 'the openssl command is not here' if $found != 0;

    # its key for us; of two forms of RSA in DER we take PKCS#1

    my $encode = sub {
        return MIME::Base64::encode_base64url(content($_[0]));
    };

    Mesh::Test::run([ 'openssl', 'genrsa', '-out', 'rsa.pem', '2048' ]);
    Mesh::Test::run([ 'openssl', 'rsa', '-in', 'rsa.pem', '-traditional',
                      '-outform', 'DER', '-out', 'rsa.der' ]);
    Mesh::Test::run([ 'openssl', 'pkcs8', '-topk8', '-nocrypt', '-in',
                      'rsa.pem', '-outform', 'DER', '-out', 'rsa.pk8' ]);

    save('theirs.key', 'rsa:' . $encode->('rsa.der') . "\n");
    like(mesh('key', 'show', 'theirs.key'), qr/^did:key:z4MX/,
         'a PKCS#1 key of openssl is one');

    save('pkcs8.key', 'rsa:' . $encode->('rsa.pk8') . "\n");
    mesh('key', 'show', 'pkcs8.key');
    is($rc, REFUSED, 'the same as PKCS#8 is not');

    # our key for it

    my ($base64) = content('rsa.key') =~ /^rsa:(\S+)/;

    save('ours.der', MIME::Base64::decode_base64url($base64));

    my ($checked, $said) = Mesh::Test::run(
        [ 'openssl', 'rsa', '-inform', 'DER', '-in', 'ours.der', '-check',
          '-noout' ]);

    is($checked, 0, 'ours is one for openssl') or diag($said);
};


subtest 'misuse' => sub {
    my @wrong = (
        [ 'another type', '--type', 'dsa' ],
        [ 'an empty type', '--type=' ],
        [ 'bits without RSA', '--bits', '2048' ],
        [ 'bits for a curve', '--type', 'p256', '--bits', '256' ],
        [ 'too few bits', '--type', 'rsa', '--bits', '1024' ],
        [ 'odd bits', '--type', 'rsa', '--bits', '2049' ],
        [ 'bits that are no number', '--type', 'rsa', '--bits', 'many' ],
    );

    for my $case (@wrong) {
        my ($name, @args) = @$case;

        mesh('key', 'new', 'no.key', @args);
        is($rc, USAGE, "$name: a misuse");
        like($err, qr/mesh help key/, 'that says where to read');
        ok(!-e 'no.key', 'and makes no file');
    }

    mesh('key', 'show', 'rsa.key', '--type', 'rsa');
    is($rc, USAGE, 'a type is not for showing');

    my $before = content('rsa.key');

    mesh('key', 'new', 'rsa.key', '--type', 'p256');
    is($rc, REFUSED, 'a key is never written over');
    is(content('rsa.key'), $before, 'it stays');
};


chdir '/';
done_testing();
